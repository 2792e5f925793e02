"""How far the jobs of a sweep are: a bar on a terminal, a line for each change in a log."""

import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.progress import TextColumn

from experiments.cluster.places import RUNNING, WAITING, State
from experiments.harness import terminal

_SECONDS = 10.0  # between two lines of a log, at least


class JobProgress(terminal.CountProgress):
    """Shows points done, jobs that wait and run, why they wait, and time left."""

    def __init__(self, screen: Console, *, total: int, kept: int):
        super().__init__(screen, TextColumn("points", markup=False), total=total, kept=kept)
        self._last, self._said = float("-inf"), ""

    def shows(self, done: int, states: Mapping[int, State], ahead: int) -> None:
        """Shows where the jobs are.

        Args:
          done: points behind.
          states: of the jobs that the cluster has.
          ahead: jobs that it does not have yet.
        """
        said, left = counted(states, ahead), self._left(done)
        self._bar.update(self._task, completed=done, said=", ".join(filter(None, [said, left])))
        text, now = f"{done} of {self._total} points, {said}", time.perf_counter()
        if self._screen.is_terminal or text == self._said or now - self._last < _SECONDS:
            return
        self._said, self._last = text, now
        terminal.say(self._screen, ", ".join(filter(None, [text, left])))


def counted(states: Mapping[int, State], ahead: int) -> str:
    """The jobs as words: `3 jobs run, 2 wait (Resources)`."""
    kinds = Counter(state.state for state in states.values())
    reasons = Counter(state.reason for state in states.values() if state.reason not in ("", "None"))
    waiting = kinds[WAITING] + ahead
    why = f" ({', '.join(reason for reason, _ in reasons.most_common(2))})" if reasons else ""
    running = kinds[RUNNING]
    return f"{running} job{'s run' if running != 1 else ' runs'}, {waiting} wait{why}"
