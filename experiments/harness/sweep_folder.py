"""The folder of a sweep, and what of its groups is kept there."""

import os
from pathlib import Path

from elsa.base import files, strict_json
from experiments.harness import engine, records
from experiments.harness.experiment import Experiment
from experiments.harness.folder import METRICS, SWEEP, FolderError, RunFolder
from experiments.harness.grouping import Group
from experiments.harness.newer import NEWER

GROUPS = "groups"  # where the folders of the groups are


class SweepFolder(RunFolder):
    """The folder of a sweep: what was asked, table, figure, and a folder for each group.

    Its records are the groups that came to their end, figures and all.
    """

    what, asked = "sweep", SWEEP


def parts(workdir: str | Path, *, overwrite: bool = False, asked: int = 1) -> int:
    """Into how many groups at least a sweep is divided: as its folder says, as asked in a new one.

    Whoever opens the folder finds out whether it holds that sweep at all.
    """
    if overwrite:
        return asked
    try:
        there = strict_json.loads_object((Path(workdir) / SWEEP).read_bytes())
    except FileNotFoundError:
        return asked
    except (OSError, ValueError):
        return 1
    held = there.get("parts", 1)
    return held if type(held) is int else 1


def kept(experiment: Experiment, group: Group, folder: SweepFolder) -> list[records.Record] | None:
    """The records of a group that came to its end; None where it is to be run."""
    place = folder.path / GROUPS / group.name
    if group.name not in folder.cases or not os.path.exists(place):  # nor may be entered
        return None
    settings, cases = engine.question(experiment, group.config)
    try:
        with RunFolder.open(place, settings, newer=NEWER) as held:
            return held.records if set(held.cases) == set(cases) else None
    except FolderError:
        return None  # the engine says what is wrong with it


def is_the_cause(error: BaseException | None) -> bool:
    """Whether what failed is the writing, which no other group would do better."""
    while error is not None:
        if isinstance(error, files.WriteError | files.ReplacedError):
            return True
        error = error.__cause__
    return False


def read(folder: Path) -> list[records.Record]:
    """The records of a group's folder."""
    path = folder / METRICS
    return records.parse(path.read_bytes())[0] if path.exists() else []
