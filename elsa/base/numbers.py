"""What is a real number, and what is an array of them; `checks` has these under its own name.

jax is imported only for dtypes that NumPy does not know.
"""

import sys
from typing import Any

import numpy as np


def is_concrete(array: Any) -> bool:
    """True where `array` has known values, that is, where it is not a tracer."""
    jax = sys.modules.get("jax")  # without it, there are no tracers
    return jax is None or not isinstance(array, jax.core.Tracer)


def real(where: str, /, **arrays: Any) -> None:
    """Refuses anything but an array of real numbers, such as text, None, booleans, ragged lists.

    Raises:
      TypeError: naming the array; for tracers, too.
    """
    for name, array in arrays.items():
        dtype = getattr(array, "dtype", None)
        if dtype is None:
            try:
                dtype = np.asarray(array).dtype
            except ValueError as error:  # a ragged list
                raise TypeError(
                    f"{where}: {name} must be an array of numbers, got a list whose rows differ in "
                    "length"
                ) from error
        if getattr(dtype, "kind", " ") in "fiu":  # nearly all: jax's look-up takes 2 us
            continue
        import jax.numpy as jnp

        try:
            jnp.issubdtype(dtype, jnp.number)
        except TypeError:  # of a table's column, which has dtypes of its own
            dtype = np.asarray(array).dtype
        if not jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(f"{where}: {name} must hold real numbers, got dtype {dtype}")


def number(where: str, /, **numbers: Any) -> None:
    """Refuses anything but a single real number; NaN, infinity and tracers of one number pass.

    Raises:
      TypeError: for what is not real, as `real`. ValueError: for arrays with axes.
    """
    for name, value in numbers.items():
        if type(value) is float:
            continue
        real(where, **{name: value})
        if np.shape(value):
            raise ValueError(
                f"{where}: {name} must be a single number, got shape {np.shape(value)}"
            )


def entry(where: str, /, **numbers: Any) -> None:
    """Refuses anything but a finite real number, or an array that holds exactly one.

    Raises:
      TypeError: for what is not real, as `real`. ValueError: for several numbers, NaN, infinity.
    """
    for name, value in numbers.items():
        real(where, **{name: value})
        if np.size(value) != 1:
            raise ValueError(
                f"{where}: {name} must be a number or an array of one, got shape {np.shape(value)}"
            )
        if is_concrete(value) and not np.isfinite(value).all():
            raise ValueError(f"{where}: {name} must be finite, got {value}")
