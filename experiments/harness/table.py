"""The table of a sweep: a row for each point, record and seed, in named columns.

Columns: every swept key, group (folder of the run), case, part (of a case with several records),
status (done, diverged, failed), seed and every field of the record; nested ones as `above.below`.
"""

import dataclasses
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from experiments.harness.experiment import Record
from experiments.harness.grouping import Group

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]
DONE, DIVERGED, FAILED = "done", "diverged", "failed"
_SHOWN = 60  # rows that are printed
_OURS = {  # whose kind does not wait for a first value
    **dict.fromkeys(("group", "case", "status", "message"), pl.String),
    **dict.fromkeys(("part", "seed"), pl.Int64),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a group: its records, and why it failed, if it did."""

    group: Group
    records: Sequence[Record]
    failure: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Mark:
    """What is printed and drawn of a record, its seeds together.

    Attributes:
      values: of the swept columns.
      series: which record of the point it is, empty where a point has but one.
      mean, error: of the main number over the seeds, and the mean's standard error; None for none.
      target: what theory says, None where nothing does.
      lost: seeds that diverged, or 1 for a point that failed.
      status: of the record.
      seconds: of its case.
    """

    values: Mapping[str, Any]
    series: str
    mean: float | None
    error: float | None
    target: float | None
    lost: int
    status: str
    seconds: float | None


def rows(outcome: Outcome, columns: Mapping[str, str]) -> list[Row]:
    """The rows of a group.

    A record with a list `risks` gives a row for each seed, its `risk`, and `risk_mean` for the
    record's own; a group that failed gives a row for each point, besides what it recorded.

    Args:
      outcome: of the group.
      columns: swept key -> column; a field of a record with that name becomes `record.NAME`.

    Raises:
      ValueError: for a record of none of the group's points.
    """
    found = []
    for record in outcome.records:
        swept = _swept(outcome.group.point_of(record), columns)
        fields = _fields(record, outcome.group, {*swept, "group", "status", "seed", "message"})
        own = {"group": outcome.group.name, "case": record["case"], "part": record.get("part", 0)}
        risks = fields.pop("risks", None)
        if not isinstance(risks, list):
            status = DIVERGED if record.get("risk", 0) is None else DONE
            found.append({**swept, **own, "status": status, "seed": None, **fields})
            continue
        if "risk" in fields:
            fields["risk_mean"] = fields.pop("risk")
        for seed, risk in enumerate(risks):
            status = DIVERGED if risk is None else DONE
            found.append({**swept, **own, "status": status, "seed": seed, "risk": risk, **fields})
    if outcome.failure:
        own = {"group": outcome.group.name, "status": FAILED, "message": outcome.failure}
        found += [{**_swept(point, columns), **own} for point in outcome.group.points]
    return found


def parquet(rows: Sequence[Row], columns: Mapping[str, str]) -> bytes:
    """The rows as a Parquet file, the swept columns first and our own next."""
    ours = ("group", "case", "part", "status", "message", "seed")
    names = dict.fromkeys([*columns.values(), *ours, *(name for row in rows for name in row)])
    file = io.BytesIO()
    pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names]).write_parquet(
        file
    )
    return file.getvalue()


def marks(
    rows: Iterable[Row], columns: Iterable[str], main: str, target: str = "target"
) -> list[Mark]:
    """The rows with the seeds of a record together, in their order.

    Args:
      rows: of the table.
      columns: of the swept keys.
      main, target: fields of the rows: a number, and what theory says of it.
    """
    columns = list(columns)
    records: dict[str, list[Row]] = {}
    for row in rows:
        swept = [row[column] for column in columns]
        name = json.dumps([swept, row.get("case"), row.get("part"), row["status"] == FAILED])
        records.setdefault(name, []).append(row)
    series = _series([seeds[0] for seeds in records.values()], columns)
    return [
        _mark(seeds, columns, main, target, name)
        for seeds, name in zip(records.values(), series, strict=True)
    ]


def printed(marks: Sequence[Mark], columns: Sequence[str], main: str) -> "Table":
    """One line a record: the point, the mean over its seeds, theory."""
    from rich.table import Table

    several = any(mark.series for mark in marks)
    numbers = any(mark.mean is not None for mark in marks)
    errors = any(mark.error is not None for mark in marks)
    targets = any(mark.target is not None for mark in marks)
    heads = [
        *(*columns, *["case"] * several, *[main] * numbers, *["± s.e."] * errors),
        *(*["theory"] * targets, "status"),
    ]
    more = len(marks) - _SHOWN
    made = Table(
        *heads,
        title=f"{len(marks)} records of the sweep" + "; mean over the seeds" * errors,
        caption=f"{more} more in the table on the disk" if more > 0 else None,
        title_justify="left",
        caption_justify="left",
    )
    for mark in marks[:_SHOWN]:
        lost = f", {mark.lost} diverged" if mark.lost and mark.status == DONE else ""
        made.add_row(
            *(shown(mark.values[column]) for column in columns),
            *[mark.series] * several,
            *[_number(mark.mean, 5)] * numbers,
            *[_number(mark.error, 2)] * errors,
            *[_number(mark.target, 5)] * targets,
            f"{mark.status}{lost}",
        )
    return made


def shown(value: Any) -> str:
    """A value for readers."""
    if isinstance(value, tuple | list):
        return ", ".join(map(shown, value))
    return f"{value:g}" if type(value) is float else str(value)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _swept(point: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    return {columns[key]: value for key, value in point.items()}


def _fields(record: Record, group: Group, taken: set[str]) -> Row:
    """A record's fields in one level, but those that the row has of its own."""
    axes = {f"point.{name}" for name in group.axes.values()}
    flat = _flat({k: v for k, v in record.items() if k not in ("case", "part", "parts")}, "")
    return {
        f"record.{name}" if name in taken else name: value
        for name, value in flat.items()
        if name not in axes
    }


def _flat(fields: Mapping[str, Any], above: str) -> Row:
    found: Row = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    """One column, of the narrowest kind that holds all values; JSON where none does."""
    there = [value for value in values if value is not None]
    kind = _OURS.get(name) or _kind(there)
    if kind is not None:
        return pl.Series(name, list(values), dtype=kind, strict=False)
    if there and all(isinstance(value, list | tuple) for value in there):
        inner = _kind([each for value in there for each in value if each is not None])
        if inner in (pl.Int64, pl.Float64):
            lists = [None if value is None else list(value) for value in values]
            return pl.Series(name, lists, dtype=pl.List(inner), strict=False)
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


def _series(firsts: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """What tells the records of a point apart: case, and what its `point` or `part` says."""
    names, numbered = [], {row["case"] for row in firsts if row.get("part")}
    for row in firsts:
        inner = {n.partition(".")[2]: v for n, v in row.items() if n.startswith("point.")}
        said = [
            f"{name} {shown(value)}"
            for name, value in inner.items()
            if value is not None and not (name in columns and row[name] == value)
        ]
        if not said and row.get("case") in numbered:
            said = [f"part {row['part']}"]
        parts = [row["case"], *said] if row.get("case") else []
        names.append(", ".join(parts) or "")
    return names if len({name for name in names if name}) > 1 else [""] * len(names)


def _mark(
    seeds: Sequence[Row], columns: Sequence[str], main: str, target: str, series: str
) -> Mark:
    first = seeds[0]
    values = [float(row[main]) for row in seeds if is_number(row.get(main))]
    error = first.get("standard_error")
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
    diverged = sum(row["status"] == DIVERGED for row in seeds)
    status = FAILED if first["status"] == FAILED else DIVERGED if not values and diverged else DONE
    return Mark(
        values={column: first[column] for column in columns},
        series=series,
        mean=statistics.fmean(values) if values else None,
        error=_finite(error) if values else None,
        target=_finite(first.get(target)),
        lost=diverged + (status == FAILED),
        status=status,
        seconds=first.get("seconds"),
    )


def _finite(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, true and false left out."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
