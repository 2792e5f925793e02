"""Keys of jax.random as constants, so that what is drawn with a constant key is one."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elsa.compiler.tracing.values import Known


@dataclasses.dataclass(frozen=True, eq=False)
class Keys(Known):
    """Keys without data: `array` is what they are made of, [variants, *shape, words]."""

    implementation: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:-1]


def known(variants: Sequence[Any]) -> Known:
    """What is known while compiling, from the arrays, or keys, of one variant each."""
    if not jnp.issubdtype(jnp.asarray(variants[0]).dtype, jax.dtypes.prng_key):
        return Known(np.stack([np.asarray(array) for array in variants]))
    words = np.stack([np.asarray(jax.random.key_data(keys)) for keys in variants])
    return Keys(words, jax.random.key_impl(variants[0]))


def operand(value: Known, variant: int) -> Any:
    """What jax computes with, of one variant."""
    if isinstance(value, Keys):
        return jax.random.wrap_key_data(value.array[variant], impl=value.implementation)
    return value.array[variant]


def like(value: Known, array: np.ndarray) -> Known:
    """Numbers, or keys where the value is keys."""
    return dataclasses.replace(value, array=array)
