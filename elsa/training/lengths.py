"""A trained model on contexts of another length than the one that it was trained on."""

import inspect
from typing import Any

import jax
from flax import nnx

from elsa.base import checks
from elsa.tasks import Prompt
from elsa.training import kinds
from elsa.training.program import Program


def graph_at(
    where: str, program: Program, point: int, context_length: int, *, depth: int | None = None
) -> Any:
    """The graph that gives a point's trained arrays the scale of contexts of this length.

    A model that is scaled by 1/n of the prompts that it is trained on is scaled by 1/m on contexts
    of m rows. In a sweep over lengths, whose prompts are all as long as the longest, N, with zeros
    in the place of the rows that a shorter one lacks, each point trains with the scale 1/N; a point
    of n rows is then scaled by (1/N) (n/m), so that at m = n it is what was trained. A scale that
    the config gives stays what it is.

    Args:
      where: the caller; messages start with it.
      context_length: m.
      depth: layers, or steps, that a tied stack is run for, in place of those trained, on contexts
        of the length trained on.

    Raises:
      TypeError, ValueError: for a length that is not an integer above 0; for a model of which some
        arrays are of the length trained on, unless it has no scale and m is shorter; for one that
        was given arrays that hold the scale.
    """
    checks.size(where, context_length=(context_length, 1))
    if depth is not None:
        return _deeper(where, program, depth)
    longest = program.sweep.points.task.context_length
    if kinds.of(program.sweep.points.task) is not Prompt and context_length != longest:
        raise ValueError(
            f"{where}: models of a {type(program.sweep.points.task).__name__} read blocks of fixed "
            f"shapes, of {longest} rows, and cannot be run on {context_length}"
        )
    own = program.sweep.names[point].get("context_length", longest)
    if context_length == own:
        return nnx.split(program.bare())[0]
    like = program.bare(context_length=own)
    kind = type(like)
    scaled = "scale" in inspect.signature(kind.__init__).parameters
    said = f"{where}: {kind.__name__} was trained on contexts of {own} rows and cannot be run on "
    said += f"{context_length}"
    given = list(getattr(kind, "arrays", {}))
    if given and scaled:
        raise ValueError(
            f"{said}: the {given[0]} that it was given holds the scale of {own} rows; train with "
            f"task.context_length={context_length} and a {given[0]} for it"
        )
    scale = own / (longest * context_length)
    other = program.bare(context_length=context_length, scale=scale)
    for (path, known), (_, found) in zip(_arrays(like), _arrays(other), strict=True):
        if known.shape == found.shape:
            continue
        if context_length < own and not scaled:
            return nnx.split(program.bare())[0]  # which takes shorter contexts as they are
        name = ".".join(str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey))
        raise ValueError(
            f"{said}: its {name} is of shape {known.shape}, and would be {found.shape}; train with "
            f"task.context_length={context_length} or with context_length among the axes of the "
            "sweep, or take a model without an array for each row, as linear_attention or h3 with "
            "state_size"
        )
    return nnx.split(other)[0]


def _deeper(where: str, program: Program, depth: int) -> Any:
    """The graph of a tied stack of another depth."""
    checks.size(where, depth=(depth, 0))
    like = program.bare()
    if not getattr(like, "tied", False):
        raise ValueError(
            f"{where}: depth needs a stack whose layers share their weights, as lsa and elsa with "
            f"tied=True, got {type(like).__name__}; train it with that depth"
        )
    return nnx.split(program.bare(depth=depth))[0]


def _arrays(model: Any) -> Any:
    return jax.tree_util.tree_leaves_with_path(nnx.split(model)[1])
