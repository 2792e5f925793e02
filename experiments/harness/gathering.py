"""What a sweep has found so far: the table of its groups, its page, its figure, what failed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console

from elsa.base import files, strict_json
from elsa.base.counting import counted
from experiments.harness import (
    diverged,
    marks,
    sweep_figure,
    sweep_folder,
    sweep_page,
    table,
    terminal,
)
from experiments.harness.experiment import FAILED, Experiment, RunError
from experiments.harness.folder import SWEEP
from experiments.harness.grouping import Group, columns
from experiments.harness.sweep_folder import GROUPS, SweepFolder
from experiments.harness.table import Block, Outcome

TABLE, FIGURE = "table.parquet", "sweep"


class Behind(NamedTuple):
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
class Gathering:
    """The groups of a sweep while they run, wherever that is.

    Attributes:
      experiment: what runs.
      groups: all of the sweep, in their order.
      command: the command line that repeats the sweep.
      screen: where to print.
      outcomes: name of a group -> its part of the table, for those that have run.
    """

    experiment: Experiment
    groups: Sequence[Group]
    command: str
    screen: Console
    outcomes: dict[str, Behind] = dataclasses.field(default_factory=dict)

    @property
    def done(self) -> str:
        """How far the sweep is, as a sentence."""
        behind = sum(not outcome.failure for outcome in self.outcomes.values())
        return f"{behind} of {len(self.groups)} groups are done."

    @property
    def ahead(self) -> list[Group]:
        """The groups that are not behind."""
        return [group for group in self.groups if group.name not in self.outcomes]

    def keep(self, folder: SweepFolder) -> None:
        """Takes over what the folder holds of earlier tries, and says so."""
        for group in self.groups:
            kept = sweep_folder.kept(self.experiment, group, folder)
            if kept is not None:
                self.take(Outcome(group, kept))
        points = sum(len(group.points) for group in self.groups)
        kept_text = f", of which {len(self.outcomes)} are kept" if self.outcomes else ""
        said = f"{counted(points, 'point')} in {counted(len(self.groups), 'group')}"
        text = f"{said}{kept_text}, in {folder.path}"
        terminal.say(self.screen, text)

    def add(self, outcomes: Sequence[Outcome], folder: SweepFolder) -> None:
        """Takes groups that came to their end into table and page, those of the disk too."""
        for outcome in outcomes:
            self.take(outcome)
        files.replace(folder.path / TABLE, table.parquet(self.table()))
        sweep_page.write(self._page(folder))

    def take(self, outcome: Outcome) -> None:
        """Counts a group as behind."""
        self.outcomes[outcome.group.name] = self._behind(outcome)

    @property
    def names(self) -> Mapping[str, str]:
        """Swept key -> column."""
        return columns(self.groups[0].points[0])

    @property
    def behind(self) -> list[Behind]:
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

    def _behind(self, outcome: Outcome) -> Behind:
        found = table.blocks(outcome, self.names, self.experiment.rows)
        group = outcome.group
        fixed = {key: value for key, value in group.points[0].items() if key not in group.axes}
        lost = diverged.lines(outcome.records, fixed)
        is_lost = diverged.nothing_is_left(outcome.records)
        frame = table.frame(found, self.names)
        return Behind(found, frame, outcome.failure, lost, is_lost)

    def report(self, folder: SweepFolder, *, finished: bool) -> pl.DataFrame:
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
