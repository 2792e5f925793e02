"""Runs that go on to more steps (--extend), and runs that start from others (--branch)."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from elsa.base import files, sealed_json, strict_json
from experiments.harness.experiment import Branch, Case, Experiment, RunError, message_of

ORIGIN = "origin.json"  # of a run that starts from others: their folder, and the checkpoint
_STEPS = "train.num_steps"


def branch_of(text: str) -> Branch:
    """The folder and the checkpoint of "FOLDER", "FOLDER@newest", "FOLDER@best" or "FOLDER@STEP".

    Raises:
      RunError: for no text, a name that no folder can have, and a folder that is not there whose
        name ends in another "@...".
    """
    match = re.fullmatch(r"(?P<folder>.+?)(@(?P<at>newest|best|\d+))?", text)
    if match is None:
        raise RunError("--branch is empty; give the folder of a run, as in --branch=runs/train")
    folder, at = match["folder"], match["at"] or "newest"
    try:
        os.stat(folder)
        is_there = True
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    except OSError as error:  # such as a name that is too long
        raise RunError(
            f"--branch must be the folder of a run, got {folder[:40]!r}.., {len(folder)} "
            f"characters: {error.strerror}"
        ) from error
    if "@" in folder and not is_there:
        raise RunError(f"--branch={text}: expected FOLDER@newest, FOLDER@best or FOLDER@STEP")
    return Branch(Path(os.path.abspath(folder)), int(at) if at.isdecimal() else at)


def extension(
    experiment: Experiment,
    config: ConfigDict,
    cases: Mapping[str, Case],
    workdir: Path,
    *,
    overwrite: bool,
) -> Callable[[], None]:
    """The check whether the folder's runs can go on to the config's steps.

    Raises:
      RunError: for an experiment that trains no runs, and with --overwrite.
    """
    refuse = experiment.extends
    if refuse is None:
        raise RunError(f"--extend: the experiment {_name(config)} has no training runs to go on")
    if overwrite:
        raise RunError("--extend goes on in the folder, --overwrite starts anew: leave one out")

    def check() -> None:
        try:
            for case in cases.values():
                refuse(config, case, workdir)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise RunError(message_of(error)) from error

    return check


def origin(
    experiment: Experiment,
    config: ConfigDict,
    cases: Mapping[str, Case],
    workdir: Path,
    asked: Branch | None,
    *,
    overwrite: bool,
) -> Branch | None:
    """Where the folder's runs start: as it was begun, or as requested; None for fresh models.

    Raises:
      RunError: for an experiment that trains no runs; a folder that was begun otherwise; where the
        checkpoint is absent, or does not fit this config.
    """
    there = None if overwrite else _read(workdir)
    start = asked or there
    if start is None:
        return None
    if experiment.branches is None:
        raise RunError(f"--branch: the experiment {_name(config)} has no training runs to start")
    if there is not None and start != there:
        raise RunError(
            f"{workdir} holds a branch of {there.folder}@{there.at}, {start.folder}@{start.at} is "
            "asked for; give another --workdir"
        )
    if start.folder.is_relative_to(os.path.abspath(workdir)):
        raise RunError(f"--branch={start.folder} lies in --workdir={workdir}; give another one")
    try:
        for case in cases.values():
            experiment.branches(config, case, workdir, start, overwrite)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise RunError(message_of(error)) from error
    return start


def as_json(branch: Branch | None) -> dict[str, Any] | None:
    """The contents of origin.json."""
    return None if branch is None else {"folder": str(branch.folder), "at": branch.at}


def write_origin(folder: Path, branch: Branch) -> None:
    """Replaces a folder's origin.json.

    Raises:
      files.WriteError: the old file is untouched.
    """
    sealed_json.write(folder / ORIGIN, as_json(branch) or {})


def fewer_steps(there: Mapping[str, Any], asked: Mapping[str, Any]) -> int | None:
    """The steps of the config that is there, where another number of them is asked for."""
    before, now = (config.get("train", {}).get("num_steps") for config in (there, asked))
    return before if isinstance(before, int) and isinstance(now, int) and before != now else None


def difference(there: Mapping[str, Any], asked: Mapping[str, Any], what: str) -> str | None:
    """What a folder holds in the place of what is asked for, another experiment first.

    Args:
      there: the folder's config.json, or the sweep.json of a sweep, with the config inside.
      asked: the same of what is to be run.
      what: "run" or "sweep".
    """
    configs = (there.get("config", there), asked.get("config", asked))
    before, now = (own.get("experiment") if isinstance(own, Mapping) else None for own in configs)
    if isinstance(before, str) and isinstance(now, str) and before != now:
        return f"is a {what} of {before}, not of {now}"
    found = strict_json.first_difference(there, asked)
    if found is None:
        return None
    key, was, wanted = found
    return f"holds a {what} with another config: {key} is {was} there, {wanted} is asked for"


def fill_in(there: Any, wanted: Any, key: Sequence[str], value: Any) -> None:
    """Sets a key of a config that is asked for and missing there.

    Args:
      there: the config of the folder; changed.
      wanted: the config that is asked for.
      key: its parts.
      value: of runs that were written before there was the key.
    """
    first, *rest = key
    if isinstance(there, dict) and isinstance(wanted, dict) and first in wanted:
        if rest:
            fill_in(there.get(first), wanted[first], rest, value)
        else:
            there.setdefault(first, value)


def set_aside(folder: Path, names: tuple[str, ...], steps: int) -> list[Path]:
    """Renames what a run of fewer steps has left to NAME.STEPS, numbered if that is taken.

    Returns:
      The new places, in the order of `names`.

    Raises:
      files.WriteError: where one cannot be renamed; it then stays where it is.
    """
    return [
        files.rename_free(folder / name, f"{folder / name}.{steps}")
        for name in names
        if (folder / name).exists()
    ]


def origin_of(folder: Path) -> dict[str, Any] | None:
    """The contents of a folder's origin.json; None where it does not start from others.

    Raises:
      RunError: where it cannot be read, or is not what was written.
    """
    path = folder / ORIGIN
    try:
        found = sealed_json.read(path)
        return {"folder": found["folder"], "at": found["at"]}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, OSError) as error:
        raise RunError(
            f"cannot read {path}: {message_of(error)}. Put it back, or give another --workdir"
        ) from error


def _read(folder: Path) -> Branch | None:
    origin = origin_of(folder)
    return None if origin is None else Branch(Path(origin["folder"]), origin["at"])


def _name(config: ConfigDict) -> str:
    return str(config.get("experiment"))
