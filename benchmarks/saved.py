"""A run's results in a file: a line about the machine, then one for each row, as JSON.

    {"machine": {...}, "arguments": [...]}
    {"load": 0.4, "name": "attention", "case": ..., "metric": ..., "value": ..., ...}

Lines are added as rows are measured, so that a run which is stopped leaves what it has.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import Row
from elsa.base import files, strict_json

RESULTS = "results.jsonl"
_NEEDED = {"case": str, "metric": str, "unit": str, "judged": bool, "turns": int}
_NUMBERS = ("value", "baseline", "ratio", "low", "high")


class Saved(NamedTuple):
    """A file's content.

    path: where it lay.
    machine: what it was measured on.
    rows: as `Row.to_json` wrote them, by case and metric.
    """

    path: Path
    machine: dict[str, Any]
    rows: dict[tuple[str, str], dict[str, Any]]


class Writer:
    """Appends to the results of one run."""

    def __init__(self, path: Path, machine: Mapping[str, Any], arguments: Sequence[str]) -> None:
        self.path = path
        files.make_folder(path.parent)
        self._add({"machine": dict(machine), "arguments": list(arguments)})

    def row(self, name: str, load: float | None, row: Row) -> None:
        """One more row: of the benchmark `name`, measured under a load average."""
        self._add({"load": load, **parsed(name, row)})

    def _add(self, value: dict[str, Any]) -> None:
        line = strict_json.dumps(value, where="results") + "\n"
        files.append(self.path, line.encode())


def parsed(name: str, row: Row) -> dict[str, Any]:
    """A row of the benchmark `name` as it stands in a file."""
    return {"name": name, **strict_json.loads_object(row.to_json())}


def read(path: Path) -> Saved:
    """The results in a file, or in the folder of a run.

    Raises:
      ValueError: for a file that is none, naming the line; OSError: for one that cannot be read.
    """
    place = path / RESULTS if path.is_dir() else path
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} is no result of a benchmark run: {error}") from error
    machine: dict[str, Any] = {}
    rows = {}
    for number, line in enumerate(lines, start=1):
        try:
            value = strict_json.loads_object(line)
            if number == 1:
                machine = value["machine"]
                if not isinstance(machine, dict):
                    raise ValueError("machine is no JSON object")
            else:
                _check(value)
                rows[value["case"], value["metric"]] = value
        except KeyError as error:
            raise ValueError(_refusal(place, number, f"{error.args[0]} is missing")) from error
        except ValueError as error:
            raise ValueError(_refusal(place, number, str(error))) from error
    if not rows:
        raise ValueError(f"{place} holds no rows of a benchmark run")
    return Saved(place, machine, rows)


def _check(row: Mapping[str, Any]) -> None:
    for name, kind in _NEEDED.items():
        if not isinstance(row[name], kind):
            raise ValueError(f"{name} must be a {kind.__name__}, got {row[name]!r}")
    for name in _NUMBERS:
        if isinstance(row[name], bool) or not isinstance(row[name], int | float | None):
            raise ValueError(f"{name} must be a number or null, got {row[name]!r}")


def _refusal(path: Path, number: int, reason: str) -> str:
    return (
        f"{path}, line {number}: {reason}; expected {RESULTS} of a run of `make bench`, which "
        "writes it whole line by line"
    )
