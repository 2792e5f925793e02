"""Numbers, choices and names, refused in one message format; `checks` has these under its own name.

Nothing here imports jax, so that a bad config is refused before the second that takes.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from elsa.base.numbers import is_concrete, number, real

SIZES = 2**31  # an upper bound of all sizes
# of matrix products, see elsa.base.precision; the later ones cheaper, as the device does them
PRECISIONS = ("highest", "high", "default")


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
            place = f" at index {index} ({int(bad.sum())} of {bad.size} entries are not finite)"
            raise ValueError(
                f"{where}: {name} must be finite, got {values[index]}{place if index else ''}"
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


def seed(where: str, value: Any) -> None:
    """Refuses anything but an integer from 0 to 2**32 - 1, of which jax makes a key."""
    integer(where, seed=(value, 0))
    if value >= 2**32:  # jax would keep the lower 32 bits, silently
        raise ValueError(f"{where}: seed must be below 2**32, got {value}")


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
    """Refuses a choice that is not on the list, and shows the list and the nearest names."""
    options = list(known)
    if not isinstance(value, str | int | None) or value not in options:  # arrays compare by entry
        texts = [option for option in options if isinstance(option, str)]
        near = nearest(value, texts) if isinstance(value, str) else ""
        raise ValueError(f"{where}: {name} must be one of {options}, got {value!r}{near}")


def known_names(where: str, what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuses unknown names, with the nearest known ones.

    Raises:
      KeyError: for an unknown name.
    """
    options = list(known)
    unknown = [name for name in given if name not in options]
    if unknown:
        hint = nearest(str(unknown[0]), options)
        raise KeyError(f"{where}: unknown {what} {unknown[0]!r}, known are {options}{hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message that asks for the nearest known names; empty where none is near."""
    small = {option.casefold(): option for option in known}  # of two alike but for case, the last
    found = difflib.get_close_matches(name.casefold(), small, n=3)
    near = [small[option] for option in found]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


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


def interval(where: str, value: float, low: float, high: float, *, name: str, reason: str) -> None:
    """Refuses a number outside the open interval (low, high), and gives the interval."""
    number(where, **{name: value})
    if not low < value < high:
        shown = "inf" if math.isinf(high) else f"{high:.6g}"
        raise ValueError(f"{where}: {name} must lie in ({low:g}, {shown}), got {value:g}: {reason}")
