"""Runs the groups of a sweep, one ordinary run each, and keeps their table up to date."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from ml_collections import ConfigDict
from rich.console import Console

from elsa.base import files, strict_json
from experiments.harness import (
    diverged,
    engine,
    marks,
    sweep_figure,
    sweep_folder,
    sweep_page,
    table,
    terminal,
)
from experiments.harness.experiment import FAILED, Experiment, RunError, message_of, stopped
from experiments.harness.folder import SWEEP, FolderError
from experiments.harness.grouping import Group, columns, grouped
from experiments.harness.newer import NEWER
from experiments.harness.sweep import Sweep
from experiments.harness.sweep_folder import GROUPS, SweepFolder
from experiments.harness.table import Block, Outcome

TABLE, FIGURE = "table.parquet", "sweep"


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
    prepare: Callable[[ConfigDict], None] = lambda config: None,
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
    parts = grouped(experiment, config, sweep.points())
    for group in parts:
        _check(experiment, group, prepare)
    held = {"config": config.to_dict(), **sweep.asked()}
    newer = {f"config.{key}": value for key, value in NEWER.items()}
    running = _Running(experiment, parts, command, screen, prepare, accept)
    again = f" To go on, run:\n  {command}" if command else ""
    try:
        with SweepFolder.open(workdir, held, overwrite=overwrite, newer=newer) as folder:
            for note in folder.notes:
                terminal.say(screen, note)
            finished = running.all(folder)
    except FolderError as error:
        raise RunError(message_of(error)) from error
    except files.WriteError as error:
        text = "\n".join([f"{error}. {running.done}{again}", *getattr(error, "__notes__", ())])
        raise RunError(text, exit_code=FAILED) from error
    except files.ReplacedError as error:
        raise RunError(f"{error}. {running.done}", exit_code=FAILED) from error
    except KeyboardInterrupt as error:
        raise stopped(error, f". {running.done}{again}") from error
    running.refuse_failures()
    return finished


def _check(experiment: Experiment, group: Group, prepare: Callable[[ConfigDict], None]) -> None:
    """Refuses the sweep for one group that cannot run, before any of them does."""
    try:
        prepare(group.config)
        engine.question(experiment, group.config)
    except RunError as error:
        raise RunError(
            f"{group.name}: {error}\nNothing was run. Leave that point out; --sweep_mode=zip takes "
            "the points one by one."
        ) from error


class _Behind(NamedTuple):
    """A group that came to its end: its part of the table, and why it failed, if it did.

    lost: lines on what of it diverged.
    is_lost: whether all of it did.
    """

    blocks: Sequence[Block]
    frame: pl.DataFrame
    failure: str
    lost: Sequence[str]
    is_lost: bool


@dataclasses.dataclass
class _Running:
    """The groups of a sweep while they run.

    Attributes:
      outcomes: name of a group -> its part of the table, for those that have run.
    """

    experiment: Experiment
    groups: Sequence[Group]
    command: str
    screen: Console
    prepare: Callable[[ConfigDict], None]
    accept: bool
    outcomes: dict[str, _Behind] = dataclasses.field(default_factory=dict)

    @property
    def done(self) -> str:
        """How far the sweep is, as a sentence."""
        behind = sum(not outcome.failure for outcome in self.outcomes.values())
        return f"{behind} of {len(self.groups)} groups are done."

    def all(self, folder: SweepFolder) -> pl.DataFrame:
        """Runs what is not done yet, and reports."""
        for group in self.groups:
            kept = sweep_folder.kept(self.experiment, group, folder)
            if kept is not None:
                self.outcomes[group.name] = self._behind(Outcome(group, kept))
        ahead = [group for group in self.groups if group.name not in self.outcomes]
        points = sum(len(group.points) for group in self.groups)
        kept_text = f", of which {len(self.outcomes)} are kept" if self.outcomes else ""
        text = f"{points} points in {len(self.groups)} groups{kept_text}, in {folder.path}"
        terminal.say(self.screen, text)
        start = time.perf_counter()
        for index, group in enumerate(ahead):
            each = (time.perf_counter() - start) / index if index else 0.0
            left = f"  (about {terminal.duration(each * (len(ahead) - index))} left)" * (index > 0)
            number = len(self.groups) - len(ahead) + index + 1
            terminal.say(self.screen, f"group {number} of {len(self.groups)}: {group.name}{left}")
            self.outcomes[group.name] = self._behind(self._one(group, folder))
            files.replace(folder.path / TABLE, table.parquet(self.table()))
            sweep_page.write(self._page(folder))
        return self._report(folder, finished=not ahead)

    @property
    def names(self) -> Mapping[str, str]:
        """Swept key -> column."""
        return columns(self.groups[0].points[0])

    @property
    def behind(self) -> list[_Behind]:
        """What came of the groups so far, in the order of the sweep."""
        return [self.outcomes[g.name] for g in self.groups if g.name in self.outcomes]

    def table(self) -> pl.DataFrame:
        """The rows of the groups behind."""
        return table.joined([each.frame for each in self.behind])

    def _state(self, name: str) -> str:
        if name not in self.outcomes:
            return sweep_page.WAITING
        return "failed" if self.outcomes[name].failure else "finished"

    def _page(self, folder: SweepFolder, **drawn: Any) -> sweep_page.SweepReport:
        """What the sweep's page shows."""
        each = [
            sweep_page.SweptGroup(
                name=group.name, points=len(group.points), state=self._state(group.name)
            )
            for group in self.groups
        ]
        asked = strict_json.loads_object((folder.path / SWEEP).read_bytes())
        return sweep_page.SweepReport(
            path=folder.path, groups=each, asked=asked, command=self.command, **drawn
        )

    def refuse_failures(self) -> None:
        """Says at the end which groups failed, if any did, or that every model diverged.

        Raises:
          RunError: naming them.
        """
        failed = {name: each.failure for name, each in self.outcomes.items() if each.failure}
        if failed:
            lines = [f"  {name}: {failure}" for name, failure in failed.items()]
            text = f"{len(failed)} of {len(self.groups)} groups failed; the same command tries them"
            raise RunError("\n".join([f"{text} again:", *lines]), exit_code=FAILED)
        if all(each.is_lost for each in self.behind):
            raise diverged.NothingLeftError(diverged.said(self.lost, of=self.recorded))

    @property
    def recorded(self) -> int:
        """How many records there are."""
        return sum("case" in block.same for each in self.behind for block in each.blocks)

    @property
    def lost(self) -> list[str]:
        """Lines on what diverged, in the order of the sweep."""
        return [line for each in self.behind for line in each.lost]

    def _behind(self, outcome: Outcome) -> _Behind:
        found = table.blocks(outcome, self.names, self.experiment.rows)
        group = outcome.group
        fixed = {key: value for key, value in group.points[0].items() if key not in group.axes}
        lost = diverged.lines(outcome.records, fixed)
        is_lost = diverged.nothing_is_left(outcome.records)
        frame = table.frame(found, self.names)
        return _Behind(found, frame, outcome.failure, lost, is_lost)

    def _one(self, group: Group, folder: SweepFolder) -> Outcome:
        """Runs one group to its end, or to the error that is its own."""
        self.prepare(group.config)
        place, start, failure = folder.path / GROUPS / group.name, time.perf_counter(), ""
        try:
            engine.run(
                self.experiment,
                group.config,
                place,
                accept=self.accept,
                command=self.command,
                screen=self.screen,
                brief=True,
            )
        except diverged.NothingLeftError:
            pass  # its rows say so
        except RunError as error:
            if error.exit_code != FAILED or sweep_folder.is_the_cause(error):
                raise RunError(f"{error}\n{self.done}", exit_code=error.exit_code) from error
            failure = str(error)
            terminal.say(self.screen, f"{group.name} failed: {failure}")
        except Exception as error:
            error.add_note(self.done)
            raise
        if not failure and group.name not in folder.cases:
            seconds = time.perf_counter() - start
            folder.append(group.name, {"points": len(group.points)}, seconds=seconds)
        return Outcome(group, sweep_folder.read(place), failure)

    def _report(self, folder: SweepFolder, *, finished: bool) -> pl.DataFrame:
        """The table on the disk and on the screen, and the figure.

        A sweep that was finished before may lie in a folder that nobody may write in.
        """
        found, columns, shown = self.table(), list(self.names.values()), self.experiment.shown
        paths = [folder.path / TABLE, folder.path / SWEEP, folder.path / GROUPS]
        marked = marks.marks([block for each in self.behind for block in each.blocks], shown)
        figure = sweep_figure.draw(marked, columns, shown)
        printed = marks.printed(marked, columns, shown)
        try:
            files.replace(paths[0], table.parquet(found))
            if figure is not None:
                paths += folder.write_figure(FIGURE, figure)
            drawn = None if figure is None else (FIGURE, figure)
            paths.append(sweep_page.write(self._page(folder, table=printed, figure=drawn)))
            said = "\n".join(["files:", *(f"  {path}" for path in paths)])
        except files.WriteError as error:
            if not (finished and error.forbidden):
                raise
            said = f"{error}. Nothing was written; the files there are as they were."
        terminal.show(self.screen, printed)
        if figure is None:
            text = f"no figure: no record has a number `{shown.main}` (Shown.main names another)"
            terminal.say(self.screen, text)
        terminal.say(self.screen, said)
        if self.lost and not all(each.is_lost for each in self.behind):
            terminal.say(self.screen, diverged.said(self.lost, of=self.recorded))
        return found
