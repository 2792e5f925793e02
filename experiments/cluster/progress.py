"""How far the jobs of a sweep are: a bar on a terminal, a line for each change in a log."""

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.cluster.places import RUNNING, WAITING, State
from experiments.harness import terminal

_SECONDS = 10.0  # between two lines of a log, at least


class JobProgress:
    """Shows points done, jobs that wait and run, why they wait, and time left."""

    def __init__(self, screen: Console, *, total: int, kept: int):
        self._screen, self._total, self._kept = screen, total, kept
        self._start, self._last, self._said = time.perf_counter(), float("-inf"), ""
        self._bar = Progress(
            TextColumn("points", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=screen,
            refresh_per_second=4,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=kept, said="")

    def __enter__(self) -> "JobProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def shows(self, done: int, states: Mapping[int, State], ahead: int) -> None:
        """Shows where the jobs are.

        Args:
          done: points behind.
          states: of the jobs that the cluster has.
          ahead: jobs that it does not have yet.
        """
        said = counted(states, ahead)
        self._bar.update(self._task, completed=done, said=", ".join([said, *self._left(done)]))
        text, now = f"{done} of {self._total} points, {said}", time.perf_counter()
        if self._screen.is_terminal or text == self._said or now - self._last < _SECONDS:
            return
        self._said, self._last = text, now
        terminal.say(self._screen, ", ".join([text, *self._left(done)]))

    def _left(self, done: int) -> list[str]:
        """The time that the points ahead take if they come as those behind did."""
        behind = done - self._kept
        if behind <= 0 or done == self._total:
            return []
        each = (time.perf_counter() - self._start) / behind
        return [f"about {terminal.duration(each * (self._total - done))} left"]


def counted(states: Mapping[int, State], ahead: int) -> str:
    """The jobs as words: `3 jobs run, 2 wait (Resources)`."""
    kinds = Counter(state.state for state in states.values())
    reasons = Counter(state.reason for state in states.values() if state.reason not in ("", "None"))
    waiting = kinds[WAITING] + ahead
    why = f" ({', '.join(reason for reason, _ in reasons.most_common(2))})" if reasons else ""
    running = kinds[RUNNING]
    return f"{running} job{'s run' if running != 1 else ' runs'}, {waiting} wait{why}"
