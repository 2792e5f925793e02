"""JSON of plain, finite values; anything else is refused by the name of its field."""

import json
import math
from typing import Any


def dumps(value: Any, *, where: str, indent: int | None = None) -> str:
    """The value as JSON text.

    Args:
      value: dicts with string keys, lists, tuples, strings, numbers, booleans and None.
      where: what the value is, which opens an error's message.
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
                raise TypeError(f"{where}: {field or 'the value'} has the key {key!r}, no string")
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
