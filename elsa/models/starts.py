"""Where a stack starts that is not drawn: built by hand, or compiled from a step."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from elsa import algorithms, compiler, constructions
from elsa.base import checks
from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import PromptFormat

Step = Callable[..., Mapping[str, Any]]
Shape = Callable[[int], tuple[int, int]]
_EXAMPLES = ("X", "y", "fit", "residual")  # blocks with a row for each example of the context


class Source(NamedTuple):
    """What a stack may start from.

    build: of context_length, dim, depth, step_size, dtype: the stack, and for "custom" of the
      layout too.
    holds: blocks besides X, y, query_x and lam -> what packing writes there; all others start at 0.
    step: of a compiled one, of the step size: the step, of X, y, lam, w and the states.
    states: blocks that the step has besides, each its shape at d.
    """

    build: Callable[..., BlockStack]
    holds: Mapping[str, str]
    step: Callable[[float], Step] | None = None
    states: Mapping[str, Shape] = MappingProxyType({})


def _with_query(build: Callable[..., BlockStack]) -> Callable[..., BlockStack]:
    return functools.partial(build, num_queries=1)


_NATURAL = {
    "ridge_elsa": Source(_with_query(constructions.ridge_elsa), {}),
    "ridge_elsa_one_layer": Source(_with_query(constructions.ridge_elsa_one_layer), {}),
}
# layout -> constructions on it by name, the first the default
CONSTRUCTIONS: dict[str, dict[str, Source]] = {
    "stacked": {"least_squares_lsa": Source(constructions.least_squares_lsa, {})},
    "natural": _NATURAL,
    "designed": {
        "ridge_lsa": Source(_with_query(constructions.ridge_lsa), {"ridge": "sqrt(lam) I"})
    },
    "source": {
        "ridge_lsa_state": Source(
            _with_query(constructions.ridge_lsa_state), {"ridge": "lam I", "step": "sqrt(eta) I"}
        )
    },
    "custom": _NATURAL,
}


def _compiled(
    step: Callable[[float], Step],
    states: Mapping[str, Shape] = MappingProxyType({}),
    holds: Mapping[str, str] = MappingProxyType({}),
) -> Source:
    """A step compiled on the natural prompt."""

    def build(
        context_length: int, dim: int, depth: int, step_size: float, *, dtype: np.dtype
    ) -> BlockStack:
        inputs = {"X": (context_length, dim), "y": (context_length, 1), "lam": (1, 1)}
        inputs |= {state: shape(dim) for state, shape in states.items()} | {"w": (dim, 1)}
        return compiler.compile(step(step_size), inputs, depth, execution="dense", dtype=dtype)

    return Source(build, holds, step, states)


# steps for ridge regression, compiled on the natural prompt; the first is the default
ALGORITHMS: dict[str, Source] = {
    "gradient_descent": _compiled(algorithms.gradient_descent),
    "newton_schulz_ridge": _compiled(
        lambda step_size: algorithms.newton_schulz_ridge(),
        {"Z": lambda dim: (dim, dim)},
        {"Z": "eta I"},
    ),
}


def table(init: str) -> Mapping[str, Mapping[str, Source]]:
    """layout -> sources by name, of "construction" or "compiled"."""
    return CONSTRUCTIONS if init == "construction" else {"natural": ALGORITHMS}


class Start(NamedTuple):
    """A stack to start from, at any context length.

    stack: of the context length: the stack as built.
    prompt: how its prompt is written.
    """

    stack: Callable[[int], BlockStack]
    prompt: PromptFormat


def built(
    init: str,
    layout: str,
    name: str,
    *,
    context_length: int,
    boxes: Mapping[str, tuple[int, int, int, int]] | None = None,
    **sizes: Any,
) -> Start:
    """A stack of `depth` steps of an algorithm for ridge regression.

    Args:
      init: "construction", weights written by hand, or "compiled".
      layout: of the prompt.
      name: of the construction or of the compiled step; "" for the first there is.
      context_length: n of the first stack; `Start.stack` makes those of other lengths.
      boxes: where the blocks lie, for layout "custom".
      **sizes: dim, depth, step_size, dtype.

    Raises:
      ValueError: for a layout on which there is none, or an unknown name, with those there are; as
        the construction or the compiler says.
    """
    there = table(init)
    if layout not in there:
        raise ValueError(
            f"StackModel: init={init!r} needs a layout out of {list(there)}, got {layout!r}; "
            "init='random' takes any"
        )
    known = there[layout]
    chosen = name or next(iter(known))
    checks.one_of("StackModel", "algorithm", chosen, known)
    given = {} if boxes is None else {"layout": BlockLayout(boxes)}

    @functools.cache
    def stack(length: int) -> BlockStack:
        with jax.ensure_compile_time_eval():  # also where a model is made within jit
            return known[chosen].build(length, **sizes, **given)

    def placed(length: int) -> BlockLayout:
        found = stack(length)
        return BlockLayout(found.layout.blocks, found.readout.shape, found.layout.transposed)

    found = placed(context_length)
    data = [block for block in ("X", "y", "query_x", "lam") if block in found]
    prompt = PromptFormat(
        name=chosen,
        layout=placed,
        holds={**{block: block for block in data}, **known[chosen].holds},
        examples=tuple(name for name in _EXAMPLES if name in found),
        any_length=boxes is None,
    )
    return Start(stack, prompt)
