"""What can be wrong with an argument: kinds of mutation by what a valid value is.

A mutation is named by what is wrong: the verdict knows by that name which of them mean something.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.inputs.calls import Made

RAGGED = [[1.0], [1.0, 2.0]]
HUGE_SIZE, HUGE_NUMBER = 10**12, 1e300
# Of arrays: no numbers, or such that overflow in any product.
VALUES = ("nan", "inf", "minus inf", "huge")


class Unrelated:
    """An object that nobody asks for."""

    def __repr__(self) -> str:
        return "Unrelated()"


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """(kind, the value instead) for a valid value."""
    if isinstance(value, Made):
        yield from _anything()
        return
    for kinds, one in _TABLE:
        if isinstance(value, kinds):
            yield from one(value)
            return
    yield from _anything()


def _anything() -> Iterator[tuple[str, Any]]:
    """What hardly any argument means."""
    yield "none", None
    yield "text", "text"
    yield "bool", True
    yield "number", 1.5
    yield "complex", 1.0 + 1.0j
    yield "ragged", RAGGED
    yield "empty", []
    yield "object", Unrelated()
    yield "mapping", {"text": 1.0}


def _but(*without: str) -> Iterator[tuple[str, Any]]:
    return ((kind, value) for kind, value in _anything() if kind not in without)


def _flag(value: bool) -> Iterator[tuple[str, Any]]:
    yield from _but("bool")
    yield "integer", int(value)
    yield "array", np.array([value, value])
    yield "nan", np.nan


def _integer(value: int) -> Iterator[tuple[str, Any]]:
    yield from _but("number")
    yield "nan", np.nan
    yield "inf", np.inf
    yield "negative", -max(int(value), 1)
    yield "zero", 0
    yield "fraction", 2.5
    yield "huge", HUGE_SIZE
    yield "vector", np.array([value, value])
    yield "same float", float(value)
    yield "same array", np.array(value)
    yield "same integer", np.int64(value)


def _number(value: float) -> Iterator[tuple[str, Any]]:
    yield from _but("number")
    yield "nan", np.nan
    yield "inf", np.inf
    yield "minus inf", -np.inf
    yield "negative", -value if value else -1.0
    yield "zero", 0.0
    yield "huge", HUGE_NUMBER
    yield "digits", str(value)
    yield "vector", np.array([value, value])
    yield "column", np.array([[value], [value]])
    yield "same number", np.float64(value)
    yield "same array", np.array(value)
    yield "close", np.float32(value)
    yield "integer", max(1, round(value))


def _array(value: np.ndarray) -> Iterator[tuple[str, Any]]:
    yield from _but()
    if np.issubdtype(value.dtype, np.floating):
        yield "nan", _with(value, np.nan)
        yield "inf", _with(value, np.inf)
        yield "minus inf", _with(value, -np.inf)
        yield "negative", -np.abs(value) - 1.0
        yield "zero", np.zeros_like(value)
        yield "huge", np.full_like(value, HUGE_NUMBER)
        yield "integers", np.ones(value.shape, int)
        yield "close", value.astype(np.float32)
    else:
        yield "negative", -value - 1
        yield "nan", value * np.nan
        yield "fraction", value + 0.5
        yield "same float", value.astype(float)
    yield "axis more", value[None]
    if value.ndim:
        yield "axis fewer", value[0]
        yield "no rows", value[:0]
        yield "row more", np.concatenate([value, value[:1]])
        yield "column more", np.concatenate([value, value[..., :1]], axis=-1)
    yield "booleans", value > 0
    yield "complexes", value + 1.0j
    yield "texts", value.astype(str)
    yield "same objects", value.astype(object)
    yield "same list", value.tolist()
    yield "same array", jnp.asarray(value)


def _with(value: np.ndarray, entry: float) -> np.ndarray:
    spoilt = value.copy()
    spoilt[(0,) * value.ndim] = entry
    return spoilt


def _key(value: jax.Array) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    yield "integer", 0
    yield "keys", jax.random.split(value, 2)
    yield "array", np.zeros(2)


def _choice(value: str) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    yield "no text", ""
    yield "bytes", value.encode()
    yield "list", [value]
    yield "nan", np.nan
    yield "integer", 1


def _path(value: Path) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    yield "no text", ""
    yield "folder", value.parent
    yield "missing", value.parent / "missing" / "file"


def _mapping(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    yield "no entries", {}
    yield "unknown entry", {**value, "unknown": 1}
    yield "integer name", {**value, 3: next(iter(value.values()), 1)}
    if value:
        yield "none within", dict.fromkeys(value)
        yield "text within", dict.fromkeys(value, "text")
        yield "nan within", dict.fromkeys(value, np.nan)


def _sequence(value: list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    kind = type(value) if type(value) in (list, tuple) else tuple
    yield "none within", kind([None] * len(value))
    yield "text within", kind(["text"] * len(value))
    yield "complex within", kind([1.0j] * len(value))
    yield "nan within", kind([np.nan] * len(value))
    yield "negative within", kind([-3] * len(value))
    yield "fraction within", kind([2.5] * len(value))
    yield "huge within", kind([HUGE_SIZE] * len(value))
    yield "longer", kind([*value, *value[:1]])
    yield "no entries", kind()
    if not any(isinstance(entry, tuple) for entry in value):  # lists of lists may be ragged
        yield "same array", np.array(value)


def _function(value: Any) -> Iterator[tuple[str, Any]]:
    yield from _anything()
    yield "returns none", lambda *_, **__: None
    yield "returns text", lambda *_, **__: "text"
    yield "takes nothing", lambda: 1.0


def _tuple_of_fields(value: Any) -> Iterator[tuple[str, Any]]:
    """A prompt: the whole of it, and each of its arrays."""
    yield from _anything()
    for field in value._fields:
        for kind, entry in mutations(getattr(value, field)):
            yield f"{field}: {kind}", value._replace(**{field: entry})


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _jax(value: jax.Array) -> Iterator[tuple[str, Any]]:
    yield from _key(value) if _is_key(value) else _array(np.asarray(value))


class _Named(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, tuple) and hasattr(value, "_fields")


class _NamedTuple(metaclass=_Named):
    pass


_TABLE: tuple[tuple[Any, Any], ...] = (
    (bool, _flag),
    (int, _integer),
    (float, _number),
    (np.ndarray, _array),
    (jax.Array, _jax),
    (str, _choice),
    (Path, _path),
    (_NamedTuple, _tuple_of_fields),
    (Mapping, _mapping),
    ((list, tuple), _sequence),
    (type(lambda: 0), _function),
)
