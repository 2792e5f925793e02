"""Runs the groups of a sweep, one ordinary run each, and keeps their table up to date."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from ml_collections import ConfigDict
from rich.console import Console

from elsa.base import files
from experiments.harness import diverged, engine, sweep_folder, terminal
from experiments.harness.experiment import FAILED, Experiment, RunError, message_of, stopped
from experiments.harness.folder import FolderError
from experiments.harness.gathering import Gathering
from experiments.harness.grouping import Group, grouped
from experiments.harness.newer import NEWER
from experiments.harness.sweep import Sweep
from experiments.harness.sweep_folder import GROUPS, SweepFolder
from experiments.harness.table import Outcome

Prepare = Callable[[ConfigDict], None]


def run(
    experiment: Experiment,
    config: ConfigDict,
    sweep: Sweep,
    workdir: str | Path,
    *,
    overwrite: bool = False,
    command: str = "",
    accept: bool = False,
    screen: Console | None = None,
    prepare: Prepare = lambda config: None,
) -> pl.DataFrame:
    """Runs all points of a sweep in a folder, or takes up the sweep that the folder holds.

    Each group of points is a run of the engine in `groups/NAME`. `table.parquet` is replaced after
    every group. A group that fails is reported at the end; the others run all the same, and the
    same command tries it again.

    Args:
      experiment: what runs.
      config: the base config.
      sweep: the points.
      workdir: the folder; the same base config and sweep in it go on, anything else is refused.
      overwrite: moves what is in the folder to `<workdir>.<time>` first.
      command: the command line that repeats this sweep.
      accept: goes on beside what was computed in an environment that gives other bits.
      screen: where to print; standard output by default.
      prepare: called with the config of a group before that is checked, and before it runs.

    Returns:
      The table.

    Raises:
      RunError: for a bad config of any point, before anything is computed; a folder that holds
        something else, a full disk, Ctrl-C; at the end, if a group failed.
    """
    screen = screen or terminal.console()
    parts = sweep_folder.parts(workdir, overwrite=overwrite)
    found = Gathering(
        experiment, checked(experiment, config, sweep, parts, prepare), command, screen
    )
    with opened(found, config, sweep, workdir, parts=parts, overwrite=overwrite) as folder:
        found.keep(folder)
        ahead = found.ahead
        start = time.perf_counter()
        for index, group in enumerate(ahead):
            each = (time.perf_counter() - start) / index if index else 0.0
            left = f"  (about {terminal.duration(each * (len(ahead) - index))} left)" * (index > 0)
            number = len(found.groups) - len(ahead) + index + 1
            text = f"group {number} of {len(found.groups)}: {group.name}{left}"
            terminal.say(screen, text)
            begun = time.perf_counter()
            try:
                outcome = one(found, group, folder.path, prepare, accept=accept)
            except Exception as error:
                if not isinstance(error, RunError):
                    error.add_note(found.done)
                raise
            if not outcome.failure and group.name not in folder.cases:
                points = {"points": len(group.points)}
                folder.append(group.name, points, seconds=time.perf_counter() - begun)
            found.add([outcome], folder)
        rows = found.report(folder, finished=not ahead)
    found.refuse_failures()
    return rows


def checked(
    experiment: Experiment, config: ConfigDict, sweep: Sweep, parts: int, prepare: Prepare
) -> list[Group]:
    """The groups of a sweep, every one of which can run.

    Raises:
      RunError: for one that cannot, before any of them does.
    """
    groups = grouped(experiment, config, sweep.points(), at_least=parts)
    for group in groups:
        try:
            prepare(group.config)
            engine.question(experiment, group.config)
        except RunError as error:
            raise RunError(
                f"{group.name}: {error}\nNothing was run. Leave that point out; --sweep_mode=zip "
                "takes the points one by one."
            ) from error
    return groups


@contextlib.contextmanager
def opened(
    found: Gathering,
    config: ConfigDict,
    sweep: Sweep,
    workdir: str | Path,
    *,
    parts: int,
    overwrite: bool,
) -> Iterator[SweepFolder]:
    """Holds the folder of a sweep, and ends the command as its user shall read it.

    Raises:
      RunError: for a folder that holds something else, a full disk, Ctrl-C.
    """
    held: dict[str, Any] = {"config": config.to_dict(), **sweep.asked()}
    if parts > 1:
        held["parts"] = parts
    newer = {f"config.{key}": value for key, value in NEWER.items()}
    again = f" To go on, run:\n  {found.command}" if found.command else ""
    try:
        with SweepFolder.open(workdir, held, overwrite=overwrite, newer=newer) as folder:
            for note in folder.notes:
                terminal.say(found.screen, note)
            yield folder
    except FolderError as error:
        raise RunError(message_of(error)) from error
    except files.WriteError as error:
        text = "\n".join([f"{error}. {found.done}{again}", *getattr(error, "__notes__", ())])
        raise RunError(text, exit_code=FAILED) from error
    except files.ReplacedError as error:
        raise RunError(f"{error}. {found.done}", exit_code=FAILED) from error
    except KeyboardInterrupt as error:
        raise stopped(error, f". {found.done}{again}") from error


def one(found: Gathering, group: Group, folder: Path, prepare: Prepare, *, accept: bool) -> Outcome:
    """Runs one group of the sweep in a folder to its end, or to the error that is its own.

    Raises:
      RunError: for Ctrl-C, and where the writing failed, which no other group would do better.
    """
    prepare(group.config)
    place, failure = folder / GROUPS / group.name, ""
    try:
        engine.run(
            found.experiment,
            group.config,
            place,
            accept=accept,
            command=found.command,
            screen=found.screen,
            brief=True,
        )
    except diverged.NothingLeftError:
        pass  # its rows say so
    except RunError as error:
        if error.exit_code != FAILED or sweep_folder.is_the_cause(error):
            raise RunError(f"{error}\n{found.done}", exit_code=error.exit_code) from error
        failure = str(error)
        terminal.say(found.screen, f"{group.name} failed: {failure}")
    return Outcome(group, sweep_folder.read(place), failure)
