"""One message format for wrong shapes, values, numbers and dtypes.

Shapes, dtypes and static numbers are checked always; array values only where the array is concrete,
because a tracer has none. Every function raises before anything is computed.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from elsa.base.numbers import entry as entry
from elsa.base.numbers import is_concrete as is_concrete
from elsa.base.numbers import number as number
from elsa.base.numbers import real as real

SIZES = 2**31  # an upper bound of all sizes


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
        for letter, size in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
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


def finite(where: str, /, **arrays: Any) -> None:
    """Refuses NaN and infinity in concrete arrays, naming the array and the first bad entry.

    Booleans, complex numbers and anything that is not numeric are refused, for tracers too.
    """
    for name, array in arrays.items():
        real(where, **{name: array})
        if not is_concrete(array):
            continue
        values = np.asarray(array)
        bad = ~np.isfinite(values.astype(np.float64))
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{where}: {name} must be finite, got {values[index]} at index {index} "
                f"({int(bad.sum())} of {bad.size} entries are not finite)"
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


def at_least(where: str, /, **numbers: tuple[Any, float]) -> None:
    """Refuses a number below its bound: name -> (value, bound). NaN is refused, tracers pass."""
    for name, (value, bound) in numbers.items():
        number(where, **{name: value})
        if is_concrete(value) and not np.asarray(value) >= bound:
            raise ValueError(f"{where}: {name} must be at least {bound}, got {value}")


def positive(where: str, /, **numbers: Any) -> None:
    """Refuses anything but a single number, finite and above zero; tracers pass."""
    number(where, **numbers)
    for name, value in numbers.items():
        if is_concrete(value) and not 0 < np.asarray(value) < math.inf:
            raise ValueError(f"{where}: {name} must be finite and above 0, got {value}")


def integer(where: str, /, **numbers: tuple[Any, int]) -> None:
    """Refuses anything but an integer of at least the bound: name -> (value, bound)."""
    for name, (value, bound) in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(
                f"{where}: {name} must be an integer, got {value!r} ({type(value).__name__})"
            )
        if value < bound:
            raise ValueError(f"{where}: {name} must be at least {bound}, got {value}")


def size(where: str, /, **sizes: tuple[Any, int]) -> None:
    """As `integer`, for sizes of arrays and lengths of loops, which must be below 2**31.

    Larger sizes do not fit 32-bit indices or memory, and jax aborts the process.
    """
    integer(where, **sizes)
    for name, (value, _) in sizes.items():
        if value >= SIZES:
            raise ValueError(f"{where}: {name} must be below {SIZES}, got {value}")


def instance(where: str, kind: Any, wanted: str, /, **values: Any) -> None:
    """Refuses anything but an instance of a class, which `wanted` describes in words."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise TypeError(
                f"{where}: {name} must be {wanted}, got {value!r:.200} ({type(value).__name__})"
            )


def boolean(where: str, /, **flags: Any) -> None:
    """Refuses anything but True or False: the text "no" would count as true.

    Raises:
      TypeError: naming the argument.
    """
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{where}: {name} must be True or False, got {value!r}")


def one_of(where: str, name: str, value: Any, known: Iterable[Any]) -> None:
    """Refuses a choice that is not on the list, and shows the list."""
    options = list(known)
    if not isinstance(value, str | int | None) or value not in options:  # arrays compare by entry
        raise ValueError(f"{where}: {name} must be one of {options}, got {value!r}")


def known_names(where: str, what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuses unknown names, with the nearest known ones.

    Raises:
      KeyError: for an unknown name.
    """
    options = list(known)
    unknown = [name for name in given if name not in options]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), options, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise KeyError(f"{where}: unknown {what} {unknown[0]!r}, known are {options}{hint}")


def mapping(where: str, what: str, /, **mappings: Any) -> None:
    """Refuses anything but a mapping with text keys; `what` describes its entries."""
    for name, value in mappings.items():
        if not hasattr(value, "keys"):  # a ConfigDict is not a Mapping
            instance(where, Mapping, what, **{name: value})
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"{where}: {name} must have names as keys, got {wrong[0]!r}")


def names(where: str, what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuses unknown and missing names in one message, with the nearest known ones.

    Raises:
      KeyError: for an unknown name; ValueError where names are missing only.
    """
    given_names, all_names = list(given), list(known)
    known_names(where, what, given_names, all_names)
    missing = [name for name in all_names if name not in given_names]
    if missing:
        raise ValueError(f"{where}: missing {what} {missing}, got {given_names}")


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


def interval(where: str, value: float, low: float, high: float, *, name: str, reason: str) -> None:
    """Refuses a number outside the open interval (low, high), and gives the interval."""
    number(where, **{name: value})
    if not low < value < high:
        shown = "inf" if math.isinf(high) else f"{high:.6g}"
        raise ValueError(f"{where}: {name} must lie in ({low:g}, {shown}), got {value:g}: {reason}")


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
        raise ValueError(f"{where}: block {name!r} must have shape {shape}, got {value.shape}")
    return matrix
