"""What goes along x, what has colours and what has panels in the figure of a sweep."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.harness.marks import is_number, text_of

Values = dict[str, Any]  # of the swept columns, at one record
_DECADES = 2.0  # an axis that spans as many is logarithmic
_MOST_PANELS, _MOST_COLOURS = 12, 8


def chosen(table: Sequence[Values], columns: Sequence[str]) -> tuple[str, list[str], str | None]:
    """What goes along x, what has colours, and what has panels."""
    varied = [column for column in columns if several(table, column)] or list(columns[:1])
    numeric = [column for column in varied if is_numeric(table, column)]
    long = [column for column in numeric if is_long(table, column)]
    x = (long or numeric or varied)[0]
    others = [column for column in varied if column != x]
    panel = None
    if len(others) > 1 and len(each(values.get(others[1]) for values in table)) <= _MOST_PANELS:
        panel = others.pop(1)
    return x, others, panel


def words(column: str) -> str:
    """A column's name for readers."""
    return column.replace("_", " ")


def label(hues: Sequence[str], values: Sequence[Any]) -> str:
    """A legend's entry: `depth 2, elsa`; a name speaks for itself."""
    pairs = zip(hues, values, strict=True)
    said = [
        text_of(v) if isinstance(v, str) else f"{words(hue)} {text_of(v)}"
        for hue, v in pairs
        if v is not None
    ]
    return ", ".join(said)


def places(values: Sequence[Any]) -> list[float]:
    """Where values lie along x: numbers at themselves, names side by side."""
    if all(is_number(value) for value in values):
        return [float(value) for value in values]
    names = each(values)
    return [float(names.index(value)) for value in values]


def each(values: Any) -> list[Any]:
    """Different values: numbers in order, names as they come."""
    found = list(dict.fromkeys(values))
    return sorted(found) if all(is_number(value) for value in found) else found


def several(table: Sequence[Values], column: str) -> bool:
    return len({values.get(column) for values in table} - {None}) > 1


def is_numeric(table: Sequence[Values], column: str) -> bool:
    return all(is_number(values.get(column)) for values in table)


def is_long(table: Sequence[Values], column: str) -> bool:
    """Whether an axis has more numbers than there are colours."""
    return is_numeric(table, column) and len({v[column] for v in table}) > _MOST_COLOURS


def is_wide(values: np.ndarray) -> bool:
    return bool(len(values) and values.min() > 0 and values.max() >= 10**_DECADES * values.min())
