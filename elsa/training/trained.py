"""What a run leaves: the names of its files, and its models to look at."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from elsa.base import checks, strict_json
from elsa.training import progress
from elsa.training.program import Program, TrainState
from elsa.training.sweep import build_task

_BATCHES = 100  # batches of one call in an evaluation, between which its progress shows
CONFIG, METRICS, CHECKPOINTS, EVENTS = "config.json", "metrics.jsonl", "checkpoints", "tensorboard"


class Trained(NamedTuple):
    """A run's models, finished or as far as they came.

    program: the run's settings, sweep and compiled functions.
    state: all models, [seeds, points].
    step: steps trained.
    folder: where the run is kept.
    """

    program: Program
    state: TrainState
    step: int
    folder: Path

    def model(self, seed: int = 0, point: int = 0) -> Any:
        """One model.

        Raises:
          IndexError: for a seed or point that the run has not. TypeError: for no integer.
        """
        seeds, points = self.state.active.shape
        _within("model", seed=(seed, seeds), point=(point, points))
        return self.program.model(self.state, seed, point)

    def task(self, point: int = 0) -> Any:
        """The task of one point, at its own context length; errors as `model`."""
        _within("task", point=(point, len(self.program.sweep)))
        return build_task(self.program.settings, self.program.sweep.names[point])

    def risk(
        self, num_prompts: int, *, screen: Console | None = None, name: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared error of every model on fresh prompts, the same for all models.

        Args:
          num_prompts: at least so many.
          screen: where to show progress; silent where None.
          name: of the run, for progress; the folder's name where None.

        Returns:
          The error and its standard error, both [seeds, points]; one prompt alone has none (NaN).

        Raises:
          ValueError, TypeError: for less than one prompt.
        """
        checks.size("risk", num_prompts=(num_prompts, 1))
        batch = self.program.settings.train.batch
        batches = math.ceil(num_prompts / batch)
        calls = math.ceil(batches / _BATCHES)
        each = math.ceil(batches / calls)  # one program for all calls
        mean = square = np.zeros(())
        total = calls * each * batch
        doing = f"{name or self.folder.name}: evaluating on {total:,} prompts"
        for call in progress.shown(range(calls), doing, screen):
            second, fourth = self.program.risk(
                self.state, np.int32(call * each), batch=batch, num_batches=each
            )
            mean = mean + np.asarray(second, np.float64) / calls
            square = square + np.asarray(fourth, np.float64) / calls
        variance = np.maximum(square - mean**2, 0.0)
        return mean, np.sqrt(variance / (total - 1)) if total > 1 else np.full_like(mean, np.nan)

    def each(self, read: Callable[[Any], Any]) -> Any:
        """`read(model)` of every model, in one mapped call: an array, or a tree of them, with the
        axes [seeds, points, ...]."""
        checks.instance("each", Callable, "a function of a model", read=read)
        found = self.program.each(self.state, read)
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found)

    def risk_along_training(self) -> tuple[np.ndarray, np.ndarray]:
        """The steps of the evaluations, [times], and the mean loss of every model over the steps
        since the evaluation before, [times, seeds, points], NaN where it was not finite.

        Every step draws fresh prompts, so that this is the risk of models that no step has fitted
        to these prompts.
        """
        text = (self.folder / METRICS).read_text(encoding="utf-8")
        whole = text.rpartition("\n")[0]  # the last line may be in writing just now
        records = [strict_json.loads(line) for line in whole.splitlines()]
        losses = np.array([record["loss"] for record in records], np.float64)
        return np.array([record["step"] for record in records]), losses


def _within(where: str, **places: tuple[int, int]) -> None:
    """Refuses an index outside 0 .. count - 1: name -> (index, count); -1 is no last one."""
    for name, (index, count) in places.items():
        checks.instance(where, int | np.integer, "an integer", **{name: index})
        if isinstance(index, bool) or not 0 <= index < count:
            raise IndexError(f"{where}: {name} must be 0..{count - 1}, got {index!r}")
