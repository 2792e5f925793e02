"""Blocks into a prompt and out of it, in one compiled program for all of them.

Op by op, jax would compile and dispatch several programs for every block. Where the blocks lie is
an argument of the program, so that blocks of equal sizes share one wherever they lie; in a program
of the caller's the places are constants.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from elsa.base import checks
from elsa.base.jit import jitted

Place = tuple[int, int, int, int]  # first row, first channel, height, width: a `Box`
Corners = Int[Array, "blocks 2"] | Int[np.ndarray, "blocks 2"]


def placed(
    blocks: Sequence[Array | np.ndarray],
    places: Sequence[Place],
    shape: tuple[int, int],
    dtype: np.dtype,
) -> Array:
    """A prompt of that shape and dtype with the blocks, as they are stored, at their places."""
    corners = [place[:2] for place in places]
    if all(checks.is_concrete(block) for block in blocks):
        # NumPy's become the dtype at once: a program takes float64 as jax's default one
        arrays = tuple(b if isinstance(b, Array) else jnp.asarray(b, dtype) for b in blocks)
        return _placed_anywhere(arrays, np.array(corners, np.int32), shape, dtype)
    return _placed(blocks, corners, shape, dtype)


def taken(
    h: Array | np.ndarray, places: Sequence[Place], turned: Sequence[bool]
) -> tuple[Array | np.ndarray, ...]:
    """The boxes of a prompt, or of each of a batch; those of `turned` transposed."""
    if isinstance(h, jax.Array) and checks.is_concrete(h) and places:
        corners = np.array([place[:2] for place in places], np.int32)
        return _taken_anywhere(h, corners, tuple(place[2:] for place in places), tuple(turned))
    found = [h[..., r : r + height, c : c + width] for r, c, height, width in places]
    return _turned(found, turned)


def _placed(blocks: Sequence[Any], corners: Any, shape: tuple[int, int], dtype: np.dtype) -> Array:
    h = jnp.zeros(shape, dtype)
    for block, (row, col) in zip(blocks, corners, strict=True):
        h = jax.lax.dynamic_update_slice(h, jnp.asarray(block, dtype), (row, col))
    return h


_placed_anywhere = jitted("shape", "dtype")(_placed)


@jitted("sizes", "turned")
def _taken_anywhere(
    h: Array, corners: Corners, sizes: tuple[tuple[int, int], ...], turned: tuple[bool, ...]
) -> tuple[Any, ...]:
    batch = h.shape[:-2]
    starts = [(*(np.int32(0) for _ in batch), row, col) for row, col in corners]
    found = [
        jax.lax.dynamic_slice(h, start, (*batch, *size))
        for start, size in zip(starts, sizes, strict=True)
    ]
    return _turned(found, turned)


def _turned(blocks: Sequence[Any], turned: Sequence[bool]) -> tuple[Any, ...]:
    pairs = zip(blocks, turned, strict=True)
    return tuple(block.swapaxes(-1, -2) if turn else block for block, turn in pairs)
