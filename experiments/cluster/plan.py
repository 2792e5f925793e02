"""What a job has to run, written once by the command that submits it: its groups, point by point.

A job so makes its own groups again and nothing else of the sweep, which may have 1,000 times more.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from elsa.base import files, strict_json
from experiments.harness import grouping
from experiments.harness.experiment import Experiment, RunError
from experiments.harness.folder import SWEEP
from experiments.harness.grouping import Group
from experiments.harness.sweep import Sweep

PLAN = "plan.json"
_VERSION = 1  # of the file; another one is not read
_AGAIN = "Run the command that submitted it again: what is missing is submitted anew"


def digest(config: ConfigDict, sweep: Sweep) -> str:
    """SHA-256 of base config and sweep, hexadecimal: equal where they are."""
    asked = strict_json.dumps({"config": config.to_dict(), **sweep.asked()}, where="sweep")
    return hashlib.sha256(asked.encode()).hexdigest()


def write(folder: Path, groups: Sequence[Group], of: str) -> None:
    """Writes what a job has to run into its folder, in one piece.

    Args:
      folder: of the job.
      groups: that it runs, in order.
      of: their sweep, by its `digest`.
    """
    each = [
        {
            "name": group.name,
            "axes": dict(group.axes),
            "keys": list(group.points[0]),
            "points": [[_as_json(value) for value in point.values()] for point in group.points],
        }
        for group in groups
    ]
    text = strict_json.dumps({"version": _VERSION, "sweep": of, "groups": each}, where=PLAN)
    files.replace(folder / PLAN, f"{text}\n".encode())


def read(
    folder: Path, experiment: Experiment, config: ConfigDict, sweep: Sweep, workdir: Path
) -> list[Group]:
    """The groups that a job has to run.

    Args:
      folder: of the job.
      experiment, config, sweep: as the job was started with; they must be those of the plan.
      workdir: the sweep's folder, which says what has changed where they are not.

    Raises:
      RunError: where there is no such plan, or it is another version's or another sweep's.
    """
    path = folder / PLAN
    try:
        there = strict_json.loads_object(path.read_bytes())
        version = there["version"]
        if version != _VERSION:
            raise RunError(f"{path} has version {version}, expected {_VERSION}. {_AGAIN}.")
        if there["sweep"] != digest(config, sweep):
            raise RunError(
                f"{path} is of another sweep{_changed(config, sweep, workdir)}. {_AGAIN}."
            )
        return [_group(experiment, config, group) for group in there["groups"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"cannot read {path}: {error!r}. {_AGAIN}.") from error


def _group(experiment: Experiment, config: ConfigDict, there: Mapping[str, Any]) -> Group:
    points = [
        dict(zip(there["keys"], map(_from_json, values), strict=True)) for values in there["points"]
    ]
    changed = grouping.configured(experiment, config, points, there["axes"])
    return Group(there["name"], changed, points, there["axes"])


def _changed(config: ConfigDict, sweep: Sweep, workdir: Path) -> str:
    """In what the job's sweep is not that of the folder, as far as the folder says."""
    try:
        there = strict_json.loads_object((workdir / SWEEP).read_bytes())
    except (OSError, ValueError):
        return ""
    there.pop("parts", None)
    asked = strict_json.loads(
        strict_json.dumps({"config": config.to_dict(), **sweep.asked()}, where="sweep")
    )
    difference = strict_json.first_difference(there, asked)
    if difference is None:
        return ""
    key, was, now = difference
    return f": {key} was {was} and is {now} now"


def _as_json(value: Any) -> Any:
    """A value of a config, told from the list that JSON would make of a tuple."""
    if isinstance(value, tuple):
        return {"tuple": [_as_json(each) for each in value]}
    return [_as_json(each) for each in value] if isinstance(value, list) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_from_json(each) for each in value["tuple"])
    return [_from_json(each) for each in value] if isinstance(value, list) else value
