"""What a long training shows: a bar where someone watches, a line now and then in a log."""

import math
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.text import Text

from elsa.base.plain import plain

_LOG_SECONDS = 20.0


def shown(parts: Sequence[int], doing: str, screen: Console | None) -> Iterator[int]:
    """The parts one by one: a bar where someone watches, a line now and then in a log."""
    watched = screen is not None and screen.is_terminal
    if screen is not None:
        doing = plain(doing, screen.encoding)
    logged = time.perf_counter()
    for part in track(parts, escape(doing), console=screen, transient=True, disable=not watched):
        now = time.perf_counter()
        if screen is not None and not watched and now - logged > _LOG_SECONDS:
            logged = now
            screen.print(Text(f"{doing}, {part / len(parts):.0%} done"), soft_wrap=True)
        yield part


class TrainingProgress:
    """Steps, speed, loss, the loss that it is set beside, and the time left.

    Args:
      screen: where to print; nothing is printed where None.
      name: of the run.
      num_steps: of the whole run.
      prompts: prompts that all models together see in one step.
      target: what the loss is set beside, averaged over the points; None where unknown.
      target_name: what that is.
    """

    def __init__(
        self,
        screen: Console | None,
        *,
        name: str,
        num_steps: int,
        prompts: int,
        target: float | None = None,
        target_name: str = "theory",
    ):
        self._screen, self._name, self._num_steps = screen, name, num_steps
        self._prompts, self._target, self._target_name = prompts, target, target_name
        self._start = self._logged = time.perf_counter()
        self._first: int | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=screen,
            refresh_per_second=4,
            transient=True,
            disable=screen is None or not screen.is_terminal or not num_steps,
        )
        shown = name if screen is None else plain(name, screen.encoding)
        self._task = self._bar.add_task(shown, total=num_steps, speed="", loss="compiling")

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line that stays."""
        if self._screen is not None:
            self._screen.print(Text(plain(text, self._screen.encoding)), soft_wrap=True)

    def reaches(self, step: int) -> None:
        """Counts steps as done, between two evaluations or before this process."""
        self._bar.update(self._task, completed=step)

    def update(self, step: int, loss: float) -> None:
        """Shows where the run stands after a stretch of steps."""
        now = time.perf_counter()
        if self._first is None:  # the first stretch holds the compilation
            self._first, self._start = step, now
        seconds, steps = now - self._start, step - self._first
        rate = steps / seconds if steps and seconds else math.nan
        speed = (
            f"{rate:,.0f} steps/s, {rate * self._prompts:,.0f} prompts/s" if steps else "compiled"
        )
        shown = f"loss {loss:.4g}"
        if self._target is not None:
            shown += f" ({self._target_name} {self._target:.4g})"
        self._bar.update(self._task, completed=step, speed=speed, loss=shown)
        watched = self._screen is not None and self._screen.is_terminal
        if not watched and now - self._logged > _LOG_SECONDS:
            self._logged = now
            left = (self._num_steps - step) / rate if steps else math.nan
            ahead = f", about {left:.0f} s left" if math.isfinite(left) else ""
            self.say(f"{self._name}: step {step:,}/{self._num_steps:,}, {speed}, {shown}{ahead}")
