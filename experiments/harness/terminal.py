"""The output of a run: a progress bar on a terminal, plain lines in a pipe or a log."""

import os
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

_PIPED_WIDTH = 120


def console() -> Console:
    """Standard output; 120 columns wide where it is not a terminal and COLUMNS is not set."""
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if watched else _PIPED_WIDTH, highlight=False)


def say(screen: Console, text: str) -> None:
    """Prints the text as it is: no markup, no line breaks of rich's own, so paths can be copied."""
    screen.print(Text(text), soft_wrap=True)


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


class CaseProgress:
    """Shows case name, k of n, time gone and time left: a bar, or a line for each case."""

    def __init__(self, screen: Console, *, total: int, kept: int):
        self._screen, self._total, self._kept, self._done = screen, total, kept, kept
        self._start = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=screen,
            refresh_per_second=4,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=kept, left="")

    def __enter__(self) -> "CaseProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begins(self, case: str) -> None:
        """Names the case that runs now."""
        self._bar.update(self._task, description=case)

    def ends(self, case: str, seconds: float) -> None:
        """Counts a case; `seconds` is its own time."""
        self._done += 1
        self._bar.update(self._task, completed=self._done, left=self._left())
        if not self._screen.is_terminal:
            width = len(str(self._total))
            count = f"{self._done:{width}d} of {self._total}"
            gone = duration(time.perf_counter() - self._start)
            times = (
                f"{duration(seconds)} ({', '.join(filter(None, [f'{gone} gone', self._left()]))})"
            )
            say(self._screen, f"{count}  {case}  {times}")

    def _left(self) -> str:
        """The time that the cases ahead take if they take as long as those behind."""
        ahead, behind = self._total - self._done, self._done - self._kept
        if ahead == 0:
            return ""
        return f"about {duration((time.perf_counter() - self._start) / behind * ahead)} left"
