"""What is printed and drawn of a sweep: one mark for each record, its seeds together."""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.harness.experiment import Shown
from experiments.harness.table import DIVERGED, DONE, FAILED, Block, Row

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 60  # rows that are printed


@dataclasses.dataclass(frozen=True, eq=False)
class Mark:
    """What is printed and drawn of a record, its seeds together.

    Attributes:
      values: of the swept columns.
      series: which record of the point it is, empty where every point has but one.
      mean, error: of the main number over the seeds, and the mean's standard error; None for none.
      robust: mean over the seeds of the number that stands beside; None for none.
      target: what theory says, None where nothing does.
      lost: seeds that diverged, or 1 for a point that failed.
      status: of the record.
    """

    values: Mapping[str, Any]
    series: str
    mean: float | None
    error: float | None
    robust: float | None
    target: float | None
    lost: int
    status: str


def marks(blocks: Sequence[Block], shown: Shown) -> list[Mark]:
    """The records, in their order.

    Args:
      blocks: of the table.
      shown: which fields of their final rows are numbers to draw.
    """
    names = _series(blocks)
    return [_mark(block, shown, name) for block, name in zip(blocks, names, strict=True)]


def printed(marks: Sequence[Mark], columns: Sequence[str], shown: Shown) -> "Table":
    """One line a record: the point, the mean over its seeds, theory."""
    from rich.table import Table

    several = any(mark.series for mark in marks)
    numbers = any(mark.mean is not None for mark in marks)
    errors = any(mark.error is not None for mark in marks)
    robust = any(mark.robust is not None for mark in marks)
    targets = any(mark.target is not None for mark in marks)
    heads = [
        *(*columns, *["record"] * several, *[shown.main] * numbers, *["± s.e."] * errors),
        *(*[shown.robust_name] * robust, *[shown.theory] * targets, "status"),
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
            *(text_of(mark.values[column]) for column in columns),
            *[mark.series] * several,
            *[_number(mark.mean, 5)] * numbers,
            *[_number(mark.error, 2)] * errors,
            *[_number(mark.robust, 5)] * robust,
            *[_number(mark.target, 5)] * targets,
            f"{mark.status}{lost}",
        )
    return made


def text_of(value: Any) -> str:
    """A value for readers."""
    if isinstance(value, tuple | list):
        return ", ".join(map(text_of, value))
    return f"{value:g}" if type(value) is float else str(value)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, true and false left out."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _series(blocks: Sequence[Block]) -> list[str]:
    """What tells the records of one point apart: case, what their `point` says, or their number."""
    points: dict[str, list[int]] = {}
    for index, block in enumerate(blocks):
        if "case" in block.same:  # no point that failed
            points.setdefault(json.dumps(list(block.values.values())), []).append(index)
    names = [""] * len(blocks)
    if all(len(own) == 1 for own in points.values()):
        return names
    for own in points.values():
        cases = [blocks[index].same["case"] for index in own]
        inner = [_inner(blocks[index].same, blocks[index].values) for index in own]
        number: dict[str, int] = {}
        for index, case, said in zip(own, cases, inner, strict=True):
            number[case] = number.get(case, -1) + 1
            alike = cases.count(case) > 1
            parts = said if said or not alike else [f"part {number[case]}"]
            names[index] = ", ".join([*[case] * (len(set(cases)) > 1 or not parts), *parts])
    return names


def _inner(same: Row, values: Row) -> list[str]:
    """The axes of a record's own that are no swept ones."""
    own = {n.partition(".")[2]: v for n, v in same.items() if n.startswith("point.")}
    return [
        f"{name} {text_of(value)}"
        for name, value in own.items()
        if value is not None and not (name in values and values[name] == value)
    ]


def _mark(block: Block, shown: Shown, series: str) -> Mark:
    seeds = block.final()
    first = seeds[0]
    values = list(_numbers(row.get(shown.main) for row in seeds))
    error = first.get("standard_error")
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
    diverged = sum(row["status"] == DIVERGED for row in seeds)
    status = FAILED if first["status"] == FAILED else DIVERGED if not values and diverged else DONE
    robust = list(_numbers(row.get(shown.robust) for row in seeds)) if shown.robust else []
    return Mark(
        values=block.values,
        series=series,
        mean=statistics.fmean(values) if values else None,
        error=next(_numbers([error]), None) if values else None,
        robust=statistics.fmean(robust) if robust else None,
        target=next(_numbers([first.get(shown.target)]), None),
        lost=diverged + (status == FAILED),
        status=status,
    )


def _numbers(values: Iterable[Any]) -> Iterator[float]:
    return (float(value) for value in values if is_number(value))
