"""The table of a sweep: a row for each point, record, seed and step, in named columns.

Columns: every swept key, group (folder of the run), case, part (of a case with several records),
status (done, diverged, failed), message, seed, step, final (whether it is the last row of its
seed), and every field of the record; nested ones as `above.below`.
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from experiments.harness import kinds
from experiments.harness.experiment import Record, Rows, RowsOf
from experiments.harness.grouping import Group

Row = dict[str, Any]
DONE, DIVERGED, FAILED = "done", "diverged", "failed"
_OURS: Mapping[str, Any] = {  # whose kind does not wait for a first value, in their order
    **dict.fromkeys(("group", "case"), pl.String),
    "part": pl.Int64,
    **dict.fromkeys(("status", "message"), pl.String),
    **dict.fromkeys(("seed", "step"), pl.Int64),
    "final": pl.Boolean,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a group: its records, and why it failed, if it did."""

    group: Group
    records: Sequence[Record]
    failure: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """The rows of one record, or of a point that failed.

    Attributes:
      values: of the swept columns.
      same: what all of its rows share; group, case and part among it.
      each: column -> a value for each row; status, seed, step and final among them.
    """

    values: Row
    same: Row
    each: Mapping[str, Sequence[Any]]

    @property
    def height(self) -> int:
        """How many rows."""
        return len(self.each["status"])

    def final(self) -> list[Row]:
        """The last row of each seed."""
        last = [row for row, is_last in enumerate(self.each["final"]) if is_last]
        own = [{name: values[row] for name, values in self.each.items()} for row in last]
        return [{**self.values, **self.same, **row} for row in own]


def by_seed(record: Record) -> Rows:
    """One row; of a record with a list `risks` one for each seed.

    It has its `risk`, and `risk_mean` the record's own.
    """
    fields, risks = dict(record), record.get("risks")
    if not isinstance(risks, list):
        return Rows(fields, {"status": [DIVERGED if record.get("risk", 0) is None else DONE]})
    fields.pop("risks")
    if "risk" in fields:
        fields["risk_mean"] = fields.pop("risk")
    return Rows(fields, {"seed": list(range(len(risks))), "status": ended(risks), "risk": risks})


def ended(risks: Sequence[float | None]) -> list[str]:
    """Status of seeds with these risks."""
    return [DIVERGED if risk is None else DONE for risk in risks]


def blocks(
    outcome: Outcome, columns: Mapping[str, str], rows_of: RowsOf | None = None
) -> list[Block]:
    """The rows of a group.

    A group that failed gives a row for each point, besides what it recorded.

    Args:
      outcome: of the group.
      columns: swept key -> column; a field of a record with that name becomes `record.NAME`.
      rows_of: the rows of a record; `by_seed` where None.

    Raises:
      ValueError: for a record of none of the group's points.
    """
    found = []
    for record in outcome.records:
        swept = _swept(outcome.group.point_of(record), columns)
        same, each = (rows_of or by_seed)(_without(record, ("case", "part", "parts")))
        height = len(next(iter(each.values())))
        axes = {f"point.{name}" for name in outcome.group.axes.values()}
        own = {"group": outcome.group.name, "case": record["case"], "part": record.get("part", 0)}
        empty: Row = dict.fromkeys(("seed", "step"), [None] * height)
        empty["final"] = [True] * height
        same = {name: value for name, value in flat(same).items() if name not in axes}
        fields = {**own, **_besides({*swept, *_OURS}, same)}
        found.append(Block(swept, fields, {**empty, **_besides(set(swept), each)}))
    if outcome.failure:
        lost: Row = {"status": [FAILED], "seed": [None], "step": [None], "final": [True]}
        own = {"group": outcome.group.name, "message": outcome.failure}
        found += [Block(_swept(point, columns), own, lost) for point in outcome.group.points]
    return found


def frame(blocks: Sequence[Block], columns: Mapping[str, str]) -> pl.DataFrame:
    """The rows of some records as a table, the swept columns first and our own next."""
    names = dict.fromkeys([*columns.values(), *_OURS])
    for block in blocks:
        names |= dict.fromkeys([*block.same, *block.each])
    values: dict[str, list[Any]] = {name: [] for name in names}
    for block in blocks:
        shared = {**block.values, **block.same}
        for name, entries in values.items():
            entries.extend(block.each.get(name) or [shared.get(name)] * block.height)
    return pl.DataFrame([kinds.column(name, own, _OURS.get(name)) for name, own in values.items()])


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of groups, one below the other."""
    names = dict.fromkeys(name for each in frames for name in each.columns)
    parts = {
        name: [(len(each), each[name] if name in each.columns else None) for each in frames]
        for name in names
    }
    return pl.DataFrame([kinds.joined(name, own) for name, own in parts.items()])


def parquet(found: pl.DataFrame) -> bytes:
    """The table as a Parquet file."""
    file = io.BytesIO()
    found.write_parquet(file)
    return file.getvalue()


def flat(fields: Mapping[str, Any], above: str = "") -> Row:
    """Fields in one level, nested ones as `above.below`."""
    found: Row = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def _swept(point: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    return {columns[key]: value for key, value in point.items()}


def _besides(taken: set[str], fields: Mapping[str, Any]) -> Row:
    """Fields under names that are not taken."""
    return {f"record.{name}" if name in taken else name: v for name, v in fields.items()}


def _without(record: Record, names: Sequence[str]) -> Record:
    return {name: value for name, value in record.items() if name not in names}
