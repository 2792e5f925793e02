"""Rows of several runs beside one another, matched by what the rows are named by."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elsa.base import strict_json
from elsa.report import document
from experiments.harness import run_page
from experiments.harness.table import flat

Row = Mapping[str, Any]
_COUNTED = ("part", "parts")  # of a record within its case: no name of anything
# measured number -> standard errors of independent causes, and what theory says it is
_MEASURED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "risk": (("standard_error", "evaluation_error"), "target"),
    "mean_square": (("standard_error",), "theory"),
    "difference": (("standard_error",), ""),
}
_POINT = "point."  # before the axes of a sweep
_OPEN = 60  # lines of a table that is not folded


@dataclasses.dataclass(frozen=True)
class Matched:
    """Rows of several runs.

    Attributes:
      keys: the fields that the rows are matched by, `row` last where these do not tell them apart.
      rows: values of the keys -> the row of each run, None of one that has none.
    """

    keys: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Sequence[Row | None]]


def split(summary: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """The numbers of a summary, and its lists of rows: both by dotted keys, rows too."""
    numbers: dict[str, Any] = {}
    lists: dict[str, list[Row]] = {}
    for name, value in flat(summary).items():
        if _is_rows(value):
            for row in value:
                _take(name, {}, row, lists)
        else:
            numbers[name] = value
    return numbers, lists


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _take(name: str, above: Row, row: Row, lists: dict[str, list[Row]]) -> None:
    """Adds a row to its list, and rows that it holds to lists of their own, named as it is."""
    own, inside = split(row)
    lists.setdefault(name, []).append({**above, **own})
    names = {key: value for key, value in own.items() if _is_name(key, value)}
    for part, rows in inside.items():
        for one in rows:
            lists.setdefault(f"{name}.{part}", []).append({**above, **names, **one})


def _is_name(key: str, value: Any) -> bool:
    return key.startswith(_POINT) or isinstance(value, str)


def match(lists: Sequence[Sequence[Row]]) -> Matched:
    """Rows of the same name in one line, in the order of the first run that has them.

    Rows are named by their place in a sweep (`point`), then by fields that are texts, then by
    numbers that runs have in common: by as few, from the first on, as tell the rows of each run
    apart. What is the same in all rows of a run is no name, so that runs of two models meet. Rows
    that nothing tells apart are matched by their order.

    Args:
      lists: the rows of each run, flat.
    """
    keys: tuple[str, ...] = ()
    for name in _candidates(lists):
        apart = _apart(lists, keys)
        if apart == sum(map(len, lists)):
            break
        if _apart(lists, (*keys, name)) > apart:
            keys = (*keys, name)
    keys = tuple(name for name in _fields(lists) if name in keys)  # as the rows have them
    in_order = _apart(lists, keys) < sum(map(len, lists))
    found: dict[tuple[str, ...], list[Row | None]] = {}
    for run, rows in enumerate(lists):
        seen: dict[tuple[str, ...], int] = {}
        for row in rows:
            named = _named(row, keys)
            seen[named] = seen.get(named, 0) + 1
            named = (*named, str(seen[named])) if in_order else named
            found.setdefault(named, [None] * len(lists))[run] = row
    return Matched((*keys, "row") if in_order else keys, found)


def section(names: Sequence[str], lists: Mapping[str, Sequence[Sequence[Row]]]) -> str:
    """HTML: the rows of several runs, what was measured first.

    Args:
      names: of the runs.
      lists: dotted key of the summary -> the rows of each run, none of one without them.
    """
    return "".join(_of_list(name, names, rows) for name, rows in lists.items())


def _of_list(name: str, names: Sequence[str], rows: Sequence[Sequence[Row]]) -> str:
    found = match(rows)
    fields = _fields(rows)
    measured = [field for field in _MEASURED if field in fields and field not in found.keys]
    parts = [_measured(name, field, names, found) for field in measured]
    lines = [
        line
        for field in fields
        if field not in (*found.keys, *_COUNTED)
        for line in _lines(field, found)
    ]
    lines = [line for line in lines if any(line[-len(names) :])]
    table = document.table(
        ("number", *_heads(found.keys), *names),
        lines,
        caption=f"{name} of summary.json; shaded where runs differ in the six digits shown",
        differing=True,
        named=1 + len(found.keys),
    )
    if parts or len(lines) > _OPEN or sum(map(bool, rows)) < 2:  # nothing, or more than can be seen
        table = document.folded(f"All numbers of {name}", table)
    return "".join([*parts, table if lines else ""])


def _measured(name: str, field: str, names: Sequence[str], found: Matched) -> str:
    """A table of a measured number: a column for each run, theory, and of two their difference."""
    errors, theory = _MEASURED[field]
    predicted = [[_theory(row, theory) for row in rows] for rows in found.rows.values()]
    is_shared = all(len({*filter(None, own)}) <= 1 for own in predicted)
    lines = []
    for named, rows, targets in zip(found.rows, found.rows.values(), predicted, strict=True):
        line = [*named, *(_value(row, field, errors) for row in rows)]
        if len(rows) == 2:
            line.append(_difference(rows, field, errors))
        if any(map(any, predicted)):
            line += [next(filter(None, targets), "")] if is_shared else targets
        lines.append(line)
    heads = [*_heads(found.keys), *names]
    said = f"{field} of each run, ± its standard error" if errors else f"{field} of each run"
    if len(names) == 2:
        heads.append(f"{names[1]} − {names[0]}")
        said += "; of the difference as of independent runs"
    if any(map(any, predicted)):
        heads += ["theory"] if is_shared else [f"theory, {run}" for run in names]
    if found.keys:
        said += f"; rows are matched by {', '.join(_heads(found.keys))}"
    return document.table(heads, lines, caption=f"{name}: {said}")


def _heads(keys: Sequence[str]) -> list[str]:
    return [key.removeprefix(_POINT) for key in keys]


def _lines(field: str, found: Matched) -> list[tuple[str, ...]]:
    return [
        (field, *named, *(_shown(row, field) for row in rows)) for named, rows in found.rows.items()
    ]


def _candidates(lists: Sequence[Sequence[Row]]) -> list[str]:
    """Fields that may name rows, the likeliest first."""
    rows = [row for own in lists for row in own]
    fields = [name for name in _fields(lists) if name not in _COUNTED]
    points = [name for name in fields if name.startswith(_POINT)]
    texts = [name for name in fields if any(isinstance(row.get(name), str) for row in rows)]
    numbers = [
        name
        for name in fields
        if name not in _MEASURED
        and all(isinstance(row.get(name), int | float) for row in rows)
        and set.intersection(*({row.get(name) for row in own} for own in lists if own))
    ]
    return list(dict.fromkeys([*points, *texts, *numbers]))


def _fields(lists: Sequence[Sequence[Row]]) -> list[str]:
    return list(dict.fromkeys(field for rows in lists for row in rows for field in row))


def _apart(lists: Sequence[Sequence[Row]], keys: Sequence[str]) -> int:
    """How many rows the keys tell apart, run by run."""
    return sum(len({_named(row, keys) for row in own}) for own in lists)


def _named(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(run_page.shown(row[key]) if key in row else "" for key in keys)


def _shown(row: Row | None, field: str) -> str:
    """A value for readers; lists of lists, as of watched layers, stay in summary.json."""
    value = (row or {}).get(field, "")
    is_deep = isinstance(value, list) and any(isinstance(part, list) for part in value)
    return "" if is_deep else run_page.shown(run_page.rounded(value))


def _theory(row: Row | None, field: str) -> str:
    value = (row or {}).get(field)
    return f"{value:.5g}" if isinstance(value, int | float) else ""


def _value(row: Row | None, field: str, errors: Sequence[str]) -> str:
    """A number with its standard error; `diverged` for a risk that no seed has."""
    if row is None or field not in row:
        return ""
    if row[field] is None:
        return "diverged"
    return _with_error(row[field], _error(row, errors))


def _difference(rows: Sequence[Row | None], field: str, errors: Sequence[str]) -> str:
    one, two = rows
    if one is None or two is None or one.get(field) is None or two.get(field) is None:
        return ""
    both = [_error(row, errors) for row in (one, two)]
    error = None if None in both else float(np.hypot(*both))  # type: ignore[arg-type]
    return _with_error(two[field] - one[field], error, sign="+")


def _error(row: Row, errors: Sequence[str]) -> float | None:
    """The standard error of a row; None where none of its causes is known."""
    known = [row[name] for name in errors if row.get(name) is not None]
    return float(np.linalg.norm(known)) if known else None


def _with_error(value: Any, error: float | None, sign: str = "") -> str:
    if not isinstance(value, int | float):
        return strict_json.dumps(value, where="value")
    return f"{value:{sign}.5g}" + ("" if error is None else f" ± {error:.2g}")
