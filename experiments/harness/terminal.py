"""The output of a run: a progress bar on a terminal, plain lines in a pipe or a log."""

import os
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from elsa.base.plain import plain

_PIPED_WIDTH = 120


class Screen(Console):
    """A console that lays tables out with the text that its encoding can show, as it stands there:
    a unit in brackets, as in `dose [mg]`, is no markup."""

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text, with plain equivalents of what the encoding does not have."""
        return super().render_str(plain(text, self.encoding), **options)


def console() -> Screen:
    """Standard output; 120 columns wide where it is not a terminal and COLUMNS is not set."""
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Screen(width=None if watched else _PIPED_WIDTH, highlight=False)


def say(screen: Console, text: str) -> None:
    """Prints the text as it is: no markup, no line breaks of rich's own, so paths can be copied."""
    screen.print(Text(plain(text, screen.encoding)), soft_wrap=True)


def show(screen: Console, table: Table) -> None:
    """Prints a table, or where the screen is too narrow for its words, each row as lines.

    A line is the name of a column and the entry; nothing is cut off in either form.
    """
    for column in table.columns:
        column.overflow = "fold"
    if _words_stay_whole(screen, table):
        screen.print(table)
        return
    if table.title:
        screen.print(table.title)
    for row in zip(*(column.cells for column in table.columns), strict=True):
        lines = Table.grid(Column(max_width=max(8, screen.width // 3), overflow="fold"), "")
        lines.columns[1].overflow, lines.padding = "fold", (0, 2, 0, 0)
        for column, cell in zip(table.columns, row, strict=True):
            if cell != "":
                lines.add_row(column.header, cell)
        screen.print(lines)
        screen.print()
    if table.caption:
        screen.print(table.caption)


def _words_stay_whole(screen: Console, table: Table) -> bool:
    """Whether no number, name or word of a table is broken where the screen lays it out."""
    lines = screen.render_lines(table, pad=False)
    shown = {word for line in lines for word in "".join(part.text for part in line).split()}
    texts = [text for column in table.columns for text in (column.header, *column.cells)]
    words = (screen.render_str(text).plain.split() for text in texts if isinstance(text, str))
    return all(shown.issuperset(own) for own in words)


def duration(seconds: float) -> str:
    """A time for readers, in the two units that matter: 0.3 s, 12 s, 3 min 20 s, 1 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class CountProgress:
    """A bar of what is done of so many, with time gone and, by its last column, what is said.

    Args:
      screen: where; a bar is drawn on terminals alone.
      first: the first column.
      total, kept: how many there are, and how many an earlier run has done.
    """

    def __init__(self, screen: Console, first: TextColumn, *, total: int, kept: int):
        self._screen, self._total, self._kept = screen, total, kept
        self._start = time.perf_counter()
        self._bar = Progress(
            first,
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=screen,
            refresh_per_second=4,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=kept, said="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def _left(self, done: int) -> str:
        """The time that those ahead take if they take as long as those behind; "" if unknown."""
        ahead, behind = self._total - done, done - self._kept
        if ahead == 0 or behind <= 0:
            return ""
        return f"about {duration((time.perf_counter() - self._start) / behind * ahead)} left"


class CaseProgress(CountProgress):
    """Shows case name, k of n, time gone and time left: a bar, or a line for each case."""

    def __init__(self, screen: Console, *, total: int, kept: int):
        column = TextColumn("{task.description}", markup=False)
        super().__init__(screen, column, total=total, kept=kept)
        self._done = kept

    def begins(self, case: str) -> None:
        """Names the case that runs now."""
        self._bar.update(self._task, description=plain(case, self._screen.encoding))

    def ends(self, case: str, seconds: float) -> None:
        """Counts a case; `seconds` is its own time."""
        self._done += 1
        left = self._left(self._done)
        self._bar.update(self._task, completed=self._done, said=left)
        if not self._screen.is_terminal:
            width = len(str(self._total))
            count = f"{self._done:{width}d} of {self._total}"
            gone = duration(time.perf_counter() - self._start)
            times = f"{duration(seconds)} ({', '.join(filter(None, [f'{gone} gone', left]))})"
            say(self._screen, f"{count}  {case}  {times}")
