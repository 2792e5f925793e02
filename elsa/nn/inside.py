"""What of a stack with named blocks a reader of its weights asks for, and a caller does not."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base.arrays import AnyShape
from elsa.base.precision import exact
from elsa.heads.head import HeadWeights
from elsa.nn.arguments import converted, looked_at
from elsa.nn.block_stack import BlockStack
from elsa.nn.stack import Stack

Arrays = dict[str, np.ndarray]  # by the names of `HeadWeights`, those that a layer has


@exact
def given_blocks(stack: BlockStack, blocks: Mapping[str, AnyShape]) -> dict[str, Array]:
    """A call's blocks as matrices of the stack's dtype, those with a default filled in.

    Values that a call refuses because the layers would diverge on them are kept.

    Raises:
      KeyError, TypeError, ValueError: for other blocks, shapes, NaN and infinity, as a call.
    """
    filled = stack._filled(blocks)
    return converted(looked_at(stack._where, filled, stack.inputs, stack.dtype), stack.dtype)


def is_complete(stack: BlockStack, blocks: Mapping[str, AnyShape]) -> bool:
    """Whether a call takes these blocks alone."""
    return set(stack.inputs) <= set(stack._filled(blocks))


@exact
def drawn_blocks(stack: BlockStack, key: Array, blocks: Mapping[str, AnyShape]) -> dict[str, Any]:
    """The blocks given, and for the others what the stack's `verify` draws.

    Where a stack has no draws of its own kind these are normal, of norms of about 1.
    """
    drawn = stack._drawn(key, blocks)
    if type(stack)._drawn is not BlockStack._drawn:
        return drawn
    norms = {n: sum(size**0.5 for size in (*np.shape(v), 1, 1)[:2]) for n, v in drawn.items()}
    return {n: v if n in blocks else v / norms[n] for n, v in drawn.items()}


@exact
def packed_prompt(stack: BlockStack, given: Mapping[str, Array]) -> Array:
    """The prompt that a call with these blocks runs."""
    return stack._packed(given)


@exact
def answer(
    stack: BlockStack, read: Mapping[str, np.ndarray], given: Mapping[str, Array]
) -> dict[str, np.ndarray]:
    """The outputs, by the readout's blocks."""
    arrays = {name: jnp.asarray(value, stack.dtype) for name, value in read.items()}
    return {
        name: np.asarray(value, np.float64) for name, value in stack._decode(arrays, given).items()
    }


@exact
def batch_of_blocks(stack: BlockStack, blocks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """`given_blocks` of every member of a batch, along the first axis."""
    given: dict[str, Any] = jax.vmap(lambda one: given_blocks(stack, one))(dict(blocks))
    return given


@exact
def packed_batch(stack: BlockStack, given: Mapping[str, Any]) -> Array:
    """The prompts of a batch."""
    prompts: Array = jax.vmap(lambda one: packed_prompt(stack, one))(dict(given))
    return prompts


@exact
def answer_of_batch(
    stack: BlockStack, name: str, read: np.ndarray, given: Mapping[str, Any]
) -> np.ndarray:
    """One output of every member of a batch, [batch, entries], by its block of the readout."""

    def one(block: Array, blocks: Mapping[str, Array]) -> Array:
        stored = block.T if name in stack.readout.transposed else block
        return stack._decode({name: stored}, blocks)[name].ravel()

    decoded = jax.vmap(one)(jnp.asarray(read, stack.dtype), dict(given))
    return np.asarray(decoded, np.float64)


@exact
def own_answer(stack: BlockStack, given: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """What the stack's own reference says that the outputs should be.

    Raises:
      TypeError: for a stack that has none, as one from a file.
    """
    return {n: np.asarray(v, np.float64) for n, v in stack._expected(given).items()}


def layers_of(stack: Stack) -> list[Arrays]:
    """The arrays of each layer that has weights: prologue, one body, epilogue."""
    layers: Sequence[Any] = (*stack.prologue, *stack.body, *stack.epilogue)
    return [
        {name: np.asarray(getattr(layer, name)[...]) for name in _of(layer)} for layer in layers
    ]


def built_layers_of(stack: BlockStack) -> list[Arrays] | None:
    """The same, as they were when the stack was built; None where it had other layers.

    Layers that add together what these do may have other numbers of heads and of key channels.
    """
    arrays = list(stack._as_built._arrays)
    inner, made = stack.stack, []
    for layer in (*inner.prologue, *inner.body, *inner.epilogue):
        fields = _of(layer)
        if len(arrays) < len(fields):
            return None
        own, arrays = arrays[: len(fields)], arrays[len(fields) :]
        made.append({name: np.asarray(array) for name, array in zip(fields, own, strict=True)})
    return made if not arrays and adds_alike(made, layers_of(inner)) else None


def adds_alike(layers: Sequence[Arrays], others: Sequence[Arrays]) -> bool:
    """Whether layers run on the same prompts, one beside the other, whatever their heads are."""
    return [_sides(layer) for layer in layers] == [_sides(layer) for layer in others]


def _sides(layer: Arrays) -> dict[str, tuple[int, ...]]:
    """Array -> steps of an untied body, inputs and, of values, channels: not heads, not p."""
    sides = {name: (*a.shape[:-3], a.shape[-2]) for name, a in layer.items()}
    return sides | {name: (*sides[name], layer[name].shape[-1]) for name in sides if "v" in name}


def _of(layer: Any) -> tuple[str, ...]:
    """The names of a layer's arrays; none where it is no layer of attention."""
    fields: tuple[str, ...] = getattr(layer, "fields", ())
    return fields if set(fields) <= set(HeadWeights._fields) else ()
