"""Checks that the fields of several tasks share."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from elsa.base import checks


def common(where: str, dim: int, context_length: int, **numbers: ArrayLike) -> None:
    """Refuses sizes that are no integers above 0, and numbers that are no scalars of at least 0."""
    checks.integer(where, dim=(dim, 1), context_length=(context_length, 1))
    for name, number in numbers.items():
        checks.shapes(where, **{name: (number, "")})
        checks.finite(where, **{name: number})
        checks.at_least(where, **{name: (number, 0.0)})


def sized(where: str, name: str, array: ArrayLike, shape: tuple[int, ...]) -> None:
    """Refuses an array of another shape."""
    if jnp.shape(array) != shape:
        raise ValueError(f"{where}: {name} must have shape {shape}, got {jnp.shape(array)}")
