"""What a run says at its end of the points whose models diverged, and which exit code it has."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.harness.experiment import FAILED, Record, RunError

LOST = (
    "lost"  # a record's field: `seeds`, a list of `seed` and `step`, and the rate's key and value
)
_NAMED = 10  # points that are named


class NothingLeftError(RunError):
    """Every model of every point diverged: all is recorded, and nothing has a number."""

    def __init__(self, message: str):
        super().__init__(message, exit_code=FAILED)


def lines(records: Sequence[Record], above: Mapping[str, Any] | None = None) -> list[str]:
    """A line for each point of which seeds diverged: which, in which step, which rate to lower.

    Args:
      records: of a run.
      above: what else the point is, dotted key -> value; of a sweep's group.
    """
    return [_line(record, above or {}) for record in records if LOST in record]


def nothing_is_left(records: Sequence[Record]) -> bool:
    """Whether no record of a run with some has a seed that came to its end."""
    return bool(records) and all(
        LOST in record and len(record[LOST]["seeds"]) == len(record["risks"]) for record in records
    )


def said(found: Sequence[str], *, of: int) -> str:
    """The lines as a command ends with them: few, and a word on what is kept.

    Args:
      found: a line a point.
      of: how many points there are.
    """
    more = len(found) - _NAMED
    return "\n".join(
        [
            f"diverged: {len(found)} of {of} points, recorded as such; all else has its results, "
            "and the same command trains nothing again:",
            *(f"  {line}" for line in found[:_NAMED]),
            *([f"  and {more} more, `status` diverged in the table"] if more > 0 else []),
        ]
    )


def _line(record: Record, above: Mapping[str, Any]) -> str:
    lost = record[LOST]
    point = {**above, **record.get("point", {})}
    place = ", ".join(f"{axis} = {_text(value)}" for axis, value in point.items())
    which = ", ".join(
        f"seed {one['seed']}"
        + (" (its risk is not finite)" if one["step"] is None else f" in step {one['step']:,}")
        for one in lost["seeds"]
    )
    of = f" of {len(record['risks'])}" if len(lost["seeds"]) < len(record["risks"]) else ""
    return (
        f"{record['case']}{f' at {place}' if place else ''}: {which}{of}; a lower --{lost['key']} "
        f"may help, it was {lost['rate']:g}"
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
