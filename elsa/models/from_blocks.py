"""A stack with named blocks, as one from a file, as the model that a config could name."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from elsa.base.known_names import PROMPTS as NAMES
from elsa.models import registry, stack_layers, starts
from elsa.models.stack_model import StackModel
from elsa.nn.block_stack import BlockStack
from elsa.nn.layers import ELSA
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import named_format

_DATA = ("X", "y", "query_x", "lam")
_FROM_ZERO = ("w", "prediction", "residual", "fit")  # packing leaves them at zero


class Found(NamedTuple):
    """A model with a stack's layers.

    settings: for `models.build`: "name", depth, layout and all that gives it these parameters.
    model: with the stack's weights.
    """

    settings: dict[str, Any]
    model: StackModel


def from_blocks(
    stack: BlockStack, *, tied: bool = False, dtype: np.dtype | type = np.float32, where: str
) -> Found:
    """The `StackModel` whose layers are a stack's.

    Architecture, depth, heads, key size and layout follow from the stack: the blocks must lie as in
    a named layout, or be X, y, query_x and prediction (and lam, w) wherever they are. Layers before
    and after the repeated one are taken where the stack has the name of a construction or of a
    compiled step. Biases go to roles, or stay with positions where two rows of a role differ. The
    layers are run on the prompt as `prompts.packed` writes it.

    Args:
      stack: as `elsa.load` or a construction gives it.
      tied: whether steps that share their weights go on to share them.
      dtype: of the parameters.
      where: opens the message of a refusal.

    Raises:
      ValueError: for a stack that no settings describe.
    """
    for block in ("X", "y"):
        if block not in stack.readout:
            raise ValueError(
                f"{where}: the stack must have a block {block}, got {list(stack.readout)}"
            )
    length, dim = stack.readout.shape_of("X")
    reasons = []
    for settings in _candidates(stack, length, dim):
        shared = {**settings, "tied": tied and stack.stack.tied}
        try:
            return _filled(stack, shared, length, dim, np.dtype(dtype), where)
        except ValueError as error:
            reasons.append(str(error))
    if not reasons:
        inner = stack.stack
        parts = f"{len(inner.prologue)} + {len(inner.body)} + {len(inner.epilogue)}"
        places = {name: tuple(stack.readout.box(name)) for name in stack.readout}
        reasons = [
            f"{where}: {stack.name!r} is no stack of one repeated layer on X, y, query_x and "
            f"prediction, nor a construction or compiled step that a config names: layers before, "
            f"repeated and behind {parts}; blocks {places}, prompt {stack.readout.shape}"
        ]
    raise ValueError(reasons[-1])


def _candidates(stack: BlockStack, length: int, dim: int) -> Iterator[dict[str, Any]]:
    """Settings that may describe the stack, those that keep most of it first."""
    inner = stack.stack
    layers = [*inner.prologue, *inner.body, *inner.epilogue]
    name = "elsa" if any(isinstance(layer, ELSA) for layer in layers) else "lsa"
    shared: dict[str, Any] = {"name": name, "depth": inner.depth}
    for init in ("construction", "compiled"):
        for layout, known in starts.table(init).items():
            if stack.name in known and layout != "custom":
                yield {**shared, "init": init, "layout": layout, "algorithm": stack.name}
    if inner.prologue or inner.epilogue or len(inner.body) > 1:
        return
    drawn = {
        **{**shared, "init": "random"},
        "num_heads": inner.body[0].wq.shape[-3],
        "key_size": inner.body[0].wq.shape[-1],
    }
    for layout in NAMES:
        form = named_format(layout, dim)
        if _lies_as(stack.readout, form.layout(length), form.holds):
            yield {**drawn, "layout": layout}
    needed = {"X", "y", "query_x", "prediction"}
    if needed <= set(stack.readout) and set(stack.readout) <= {*_DATA, *_FROM_ZERO}:
        boxes = {block: tuple(stack.readout.box(block)) for block in stack.readout}
        fits = BlockLayout(boxes).shape == stack.readout.shape
        if fits and not stack.readout.transposed:
            yield {**drawn, "layout": "custom", "boxes": boxes}


def _lies_as(there: BlockLayout, named: BlockLayout, holds: Mapping[str, str]) -> bool:
    """Whether the blocks of a prompt lie as in a named layout, none missing that it fills."""
    same = all(
        there.box(block) == named.box(block)
        and (block in there.transposed) == (block in named.transposed)
        for block in there
        if block in named
    )
    return there.shape == named.shape and same and {*holds, "prediction"} <= set(there)


def _filled(
    stack: BlockStack,
    settings: dict[str, Any],
    length: int,
    dim: int,
    dtype: np.dtype,
    where: str,
) -> Found:
    """The model of these settings with the stack's weights.

    Raises:
      ValueError: where its layers, or where its blocks lie, are not the stack's.
    """
    refused = ValueError(f"{where}: no settings")
    for biases in ("role", "position") if settings["name"] == "elsa" else ("role",):
        own = {**settings, "biases": biases}
        sizes = {"dim": dim, "context_length": length, "dtype": dtype}
        model: StackModel = registry.build(own, rngs=nnx.Rngs(0), **sizes)
        _refuse_other_places(stack, model.readout(length), where)
        try:
            layers = stack_layers.from_stack(
                stack.stack,
                indicator=model._indicator(),
                tied=settings["tied"],
                noise=0.0,
                dtype=dtype,
                precision=model.precision,
                where=where,
                rngs=nnx.Rngs(0),
            )
        except ValueError as error:
            refused = error
            continue
        _refuse_other_shapes(layers, model.stack, where)
        model.stack = layers
        return Found(own, model)
    raise refused


def _refuse_other_places(stack: BlockStack, readout: BlockLayout, where: str) -> None:
    for block in (*_DATA, *_FROM_ZERO):
        there, here = (
            tuple(layout.box(block)) if block in layout else None
            for layout in (stack.readout, readout)
        )
        if there != here and there is not None:
            raise ValueError(
                f"{where}: the block {block} of {stack.name!r} lies at {there} (row, column, "
                f"height, width), that of the construction at {here}"
            )


def _refuse_other_shapes(layers: nnx.Module, like: nnx.Module, where: str) -> None:
    there, here = (
        {"/".join(map(str, path)): leaf.shape for path, leaf in _leaves(part)}
        for part in (layers, like)
    )
    for name in [*here, *there]:
        if there.get(name) != here.get(name):
            raise ValueError(
                f"{where}: {name} has the shape {there.get(name)} there, "
                f"{here.get(name)} in a model of its name"
            )


def _leaves(part: nnx.Module) -> list[tuple[Any, Any]]:
    return list(nnx.to_flat_state(nnx.state(part, nnx.Param)))
