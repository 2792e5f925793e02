"""Columns of a table: each of the narrowest kind that holds all of its values."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

_NUMBERS = (pl.Int64, pl.Float64)


def column(name: str, values: Sequence[Any], kind: Any = None) -> pl.Series:
    """A column of the narrowest kind that holds all values; JSON where none does.

    Args:
      name: of the column.
      values: numbers, text, true and false, lists of numbers, None for what is not there.
      kind: of the column where it does not follow from the values.
    """
    there = [value for value in values if value is not None]
    kind = kind or _kind(there)
    if kind is not None:
        return pl.Series(name, list(values), dtype=kind, strict=False)
    if there and all(isinstance(value, list | tuple) for value in there):
        inner = _kind([each for value in there for each in value if each is not None])
        if inner in _NUMBERS:
            lists = [None if value is None else list(value) for value in values]
            return pl.Series(name, lists, dtype=pl.List(inner), strict=False)
    return _texts(name, values)


def joined(name: str, parts: Sequence[tuple[int, pl.Series | None]]) -> pl.Series:
    """One column of several, as `column` of all their values would make it.

    Args:
      name: of the column.
      parts: rows of each and its column; None where it has no such column.
    """
    there = [part for _, part in parts if part is not None and part.null_count() < len(part)]
    kinds = {part.dtype for part in there if not _is_empty(part)}
    if any(not isinstance(kind, pl.List) for kind in kinds):
        kinds = {part.dtype for part in there}  # else lists without entries are of any kind
    if len(kinds) < 2:
        known = there or [part for _, part in parts if part is not None]
        kind = kinds.pop() if kinds else known[0].dtype
    elif kinds <= set(_NUMBERS):
        kind = pl.Float64()
    elif kinds <= {pl.List(inner) for inner in _NUMBERS}:
        kind = pl.List(pl.Float64)
    else:
        kind = pl.String()
    return pl.concat([_as(name, rows, part, kind) for rows, part in parts])


def _is_empty(part: pl.Series) -> bool:
    """Whether it holds lists without entries alone."""
    return isinstance(part.dtype, pl.List) and not part.list.len().sum()


def _as(name: str, rows: int, part: pl.Series | None, kind: Any) -> pl.Series:
    """A part of a column in the kind of the whole."""
    if part is None or part.null_count() == len(part):
        return pl.Series(name, [None] * rows, dtype=kind)
    if kind == pl.String and part.dtype != pl.String:
        return _texts(name, part.to_list())
    return part.cast(kind)


def _texts(name: str, values: Sequence[Any]) -> pl.Series:
    texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    return pl.Series(name, texts, dtype=pl.String)


def _kind(values: Sequence[Any]) -> Any:
    """The type of a column of such values, None where they have none in common."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pl.Boolean
    if kinds == {str}:
        return pl.String
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return pl.Int64
    return pl.Float64 if kinds <= {int, float} else None
