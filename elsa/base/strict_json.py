"""JSON of plain, finite values; anything else is refused by the name of its field."""

import json
import math
from typing import Any


def dumps(value: Any, *, where: str, indent: int | None = None) -> str:
    """The value as JSON text.

    Args:
      value: dicts with string keys, lists, tuples, strings, numbers, booleans and None.
      where: what the value is; errors start with it.
      indent: blanks per level; None writes one line.

    Raises:
      ValueError: for NaN or infinity, naming the field.
      TypeError: for a value or a key of another kind, naming the field.
    """
    _check(value, where, "")
    return json.dumps(value, indent=indent, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """The value of JSON text; NaN and Infinity, which Python's parser lets pass, are refused.

    Raises:
      ValueError: saying what is wrong and, for broken syntax, in which line.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def loads_object(text: str | bytes) -> dict[str, Any]:
    """The dict of JSON text.

    Raises:
      ValueError: as `loads`, and for any other value.
    """
    value = loads(text)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def first_difference(there: Any, asked: Any, key: str = "") -> tuple[str, str, str] | None:
    """The first value two nested dicts disagree on: its dotted key and both values as JSON.

    A key that is missing on one side is "absent" there. None if nothing differs.
    """
    if isinstance(there, dict) and isinstance(asked, dict):
        for name in [*asked, *(name for name in there if name not in asked)]:
            inner = f"{key}.{name}" if key else name
            difference = first_difference(there.get(name, _ABSENT), asked.get(name, _ABSENT), inner)
            if difference:
                return difference
        return None
    if type(there) is type(asked) and there == asked:
        return None
    return key or "the whole", _shown(there), _shown(asked)


_ABSENT = object()


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else dumps(value, where="value")


def _check(value: Any, where: str, field: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{where}: {field or 'the value'} is {value}, which JSON does not know; "
            "write None for a number that does not exist"
        )
    if value is None or isinstance(value, str | bool | int | float):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                inside = f"{field}: " if field else ""
                raise TypeError(f"{where}: {inside}key {key!r} must be a string, for JSON")
            _check(inner, where, f"{field}.{key}" if field else key)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check(inner, where, f"{field}[{index}]")
    else:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"{where}: {field or 'the value'} is a {kind}; write a plain number, string or list "
            "(float(...), .tolist())"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
