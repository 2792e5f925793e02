"""A run's tracker, whose failure is said once and stops nothing, and what it is told."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elsa.base import files
from elsa.training.trackers import OpenTracker, TrackedRun, Tracker

_MANY_POINTS = 24  # beyond, a tracker shows the whole sweep's mean and range only


class Tracking:
    """A run's numbers on the way to its tracker.

    Args:
      opened: makes the tracker; None for none.
      run: what it is told.
      before: step -> numbers of the evaluations before this process, in order.

    Raises:
      files.ReplacedError: where another process has the folder; so do all methods.
    """

    def __init__(
        self,
        opened: OpenTracker | None,
        run: TrackedRun,
        before: Callable[[], Sequence[tuple[int, dict[str, float]]]],
    ) -> None:
        self._tracker: Tracker | None = None
        self._last = -1
        if opened is not None:
            self._attempt(lambda: self._open(opened, run, before))

    def add(self, step: int, numbers: dict[str, float]) -> None:
        """Numbers of one evaluation, unless the tracker holds them already."""
        if self._tracker is not None and step > self._last:
            tracker = self._tracker
            self._attempt(lambda: tracker.add(step, numbers))

    def flush(self) -> None:
        """Brings what was added to where it stays."""
        if self._tracker is not None:
            self._attempt(self._tracker.flush)

    def close(self) -> None:
        """Ends this process's part."""
        if self._tracker is not None:
            self._attempt(self._tracker.close)
        self._tracker = None

    def _open(
        self,
        opened: OpenTracker,
        run: TrackedRun,
        before: Callable[[], Sequence[tuple[int, dict[str, float]]]],
    ) -> None:
        self._tracker = opened(run)
        self._last = int(self._tracker.last())
        if self._last < run.step:
            for step, numbers in before():
                self.add(step, numbers)

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except files.ReplacedError:
            raise
        except Exception as error:
            self._tracker = None
            said = " ".join(str(error).split()) or type(error).__name__
            warnings.warn(
                f"the run's tracker fails ({said}); training goes on without it",
                stacklevel=4,
            )


def numbers_of(
    loss: np.ndarray, labels: Sequence[str], targets: Any, target_name: str
) -> dict[str, float]:
    """What a tracker shows of one evaluation: finite numbers by name.

    Args:
      loss: of every model, [seeds, points].
      labels: of the points.
      targets: what each point's loss is set beside; None where unknown.
      target_name: what these are.
    """
    finite = loss[np.isfinite(loss)]
    found = {}
    if finite.size:
        found = {
            "loss/mean": float(finite.mean()),
            "loss/lowest": float(finite.min()),
            "loss/highest": float(finite.max()),
        }
    for index, label in enumerate(labels if len(labels) <= _MANY_POINTS else ()):
        found[f"loss_by_point/{label}"] = float(loss[:, index].mean())
        if targets is not None:
            found[f"{target_name}/{label}"] = float(targets[index])
    return {name: value for name, value in found.items() if math.isfinite(value)}
