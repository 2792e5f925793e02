"""One message format for wrong shapes, values, numbers and dtypes.

Shapes, dtypes and static numbers are checked always; array values only where the array is concrete,
because a tracer has none. Every function raises before anything is computed.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from elsa.base.numbers import entry as entry
from elsa.base.numbers import is_concrete as is_concrete
from elsa.base.numbers import number as number
from elsa.base.numbers import real as real
from elsa.base.values import SIZES as SIZES
from elsa.base.values import at_least as at_least
from elsa.base.values import boolean as boolean
from elsa.base.values import finite as finite
from elsa.base.values import instance as instance
from elsa.base.values import integer as integer
from elsa.base.values import interval as interval
from elsa.base.values import known_names as known_names
from elsa.base.values import mapping as mapping
from elsa.base.values import names as names
from elsa.base.values import one_of as one_of
from elsa.base.values import positive as positive
from elsa.base.values import seed as seed
from elsa.base.values import size as size


def concrete(where: str, name: str, array: Any) -> None:
    """Refuses a tracer, for functions that decide by the values of their arguments."""
    if not is_concrete(array):
        raise TypeError(
            f"{where}: {name} is traced, by jit, vmap or grad; {where} looks at numbers: call it "
            "outside"
        )


def random_key(where: str, key: Any) -> None:
    """Refuses anything but one concrete key of jax.random."""
    concrete(where, "key", key)
    single_key(where, key)


def single_key(where: str, key: Any) -> None:
    """Refuses anything but one key of jax.random, traced or not."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    raw = not typed and isinstance(key, jax.Array | np.ndarray)
    old = raw and key.shape == (2,) and key.dtype == np.uint32
    if not (old or (typed and key.ndim == 0)):
        got = f"keys of shape {key.shape}" if typed else repr(key)
        raise TypeError(f"{where}: key must be one key, as of jax.random.key(0), got {got}")


def shapes(where: str, /, **arrays: tuple[Any, str]) -> dict[str, int]:
    """Binds axis names to sizes, in the order given, and returns the binding.

    Args:
      where: name of the caller, which opens the message.
      **arrays: name -> (array, axis names separated by blanks), "" for a single number; an axis
        named twice must agree; "..." in front stands for any axes, which are not compared.

    Raises:
      ValueError: naming the first array that does not fit, its shape, the shape expected, and the
        arrays that bound its sizes, one of which may be the wrong one.
      TypeError: for anything but real numbers.
    """
    sizes: dict[str, int] = {}
    binders: dict[str, str] = {}
    for name, (array, axes) in arrays.items():
        real(where, **{name: array})
        shape, letters = np.shape(array), axes.split()
        if letters and letters[0] == "...":
            shape, letters = shape[len(shape) - len(letters) + 1 :], letters[1:]
        expected = f"({', '.join(f'{a}={sizes[a]}' if a in sizes else a for a in letters)})"
        if len(shape) != len(letters):
            wanted = f"have {len(letters)} axes {expected}" if letters else "be a single number"
            raise ValueError(f"{where}: {name} must {wanted}, got shape {shape}")
        for letter, length in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, length) != length:
                of = "".join(
                    f"; {letter} is that of {binders[letter]}"
                    for letter in dict.fromkeys(letters)
                    if binders.get(letter, name) != name
                )
                raise ValueError(f"{where}: {name} must have shape {expected}, got {shape}{of}")
            binders.setdefault(letter, name)
    return sizes


def same_shape(
    where: str, first: str, shape: tuple[int, ...], second: str, other: tuple[int, ...]
) -> None:
    """Refuses two blocks of different shape, naming both."""
    if shape != other:
        raise ValueError(
            f"{where}: blocks {first!r} and {second!r} must have the same shape, "
            f"got {shape} and {other}"
        )


def in_range(where: str, dtype: DTypeLike, /, **arrays: Any) -> None:
    """Refuses entries of concrete arrays that would become infinite in the dtype computed in."""
    kind = np.dtype(dtype)
    for name, array in arrays.items():
        if getattr(array, "dtype", None) == kind or not is_concrete(array):
            continue
        values = np.asarray(array)
        with np.errstate(over="ignore"):
            lost = np.isfinite(values) & ~np.isfinite(values.astype(kind))
        if lost.any():
            index = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(
                f"{where}: {name} must lie in the range of {kind}, the dtype computed in, got "
                f"{values[index]} at index {index}"
            )


def float_dtype(where: str, dtype: DTypeLike | None) -> np.dtype:
    """The floating dtype asked for, or jax's default one; float64 needs jax's x64 switch.

    Raises:
      ValueError: for float64 without x64, naming the switch.
      TypeError: for a dtype that is not floating point.
    """
    if dtype is None:
        return np.dtype(jnp.result_type(float))
    wanted = floating(where, dtype)
    if wanted == np.float64 and jnp.result_type(float) != np.float64:
        raise ValueError(
            f"{where}: dtype float64 was asked for, but jax computes in float32; "
            "call jax.config.update('jax_enable_x64', True) before the first array, "
            "or ask for float32"
        )
    return wanted


def floating(where: str, dtype: DTypeLike) -> np.dtype:
    """The floating dtype of that name or type; None and anything else are refused."""
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError) as error:
        known = ", which names no dtype; write 'float32' or 'float64'" * isinstance(dtype, str)
        raise TypeError(
            f"{where}: dtype must be a floating-point type, got {dtype!r}{known}"
        ) from error
    if wanted is None or not jnp.issubdtype(wanted, jnp.floating):
        raise TypeError(f"{where}: dtype must be a floating-point type, got {wanted}")
    return wanted


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape as a matrix: a 1-D array is a column, a number is 1 x 1."""
    rows, columns = (*shape, 1, 1)[:2]
    return rows, columns


def column(where: str, name: str, array: Any, shape: tuple[int, int]) -> jax.Array | np.ndarray:
    """The array as a matrix of the given shape: 1-D arrays act as columns, scalars as 1 x 1.

    NumPy stays NumPy, so that float64 constants keep their digits whatever jax computes in.

    Raises:
      ValueError: naming the array, its shape and the shape expected.
    """
    value = array if isinstance(array, jax.Array) else np.asarray(array)
    matrix = value.reshape(-1, 1) if value.ndim < 2 else value
    if matrix.shape != shape:
        batch = "; jax.vmap makes many calls of one" if value.shape[1:] == shape else ""
        raise ValueError(
            f"{where}: block {name!r} must have shape {shape}, got {value.shape}{batch}"
        )
    return matrix
