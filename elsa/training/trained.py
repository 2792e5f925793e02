"""The result of a run: the names of its files, and its models for analysis."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from elsa.base import checks, strict_json
from elsa.training import progress
from elsa.training.errors import TrainingError
from elsa.training.evaluation import Evaluation, evaluate
from elsa.training.lengths import graph_at
from elsa.training.pieces import Pace
from elsa.training.program import Program
from elsa.training.state import TrainState
from elsa.training.sweep import build_task
from elsa.training.writers import Written, contents

_BATCHES = 100  # batches of one call in an evaluation, between which its progress shows
CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"


class Trained(NamedTuple):
    """A run's models, finished or as far as they were trained.

    program: the run's settings, sweep and compiled functions.
    state: all models, [seeds, points].
    step: steps trained.
    folder: where the run is kept.
    written: what its metrics.jsonl held at that step; None where that is not known.
    """

    program: Program
    state: TrainState
    step: int
    folder: Path
    written: Written | None = None

    def model(self, seed: int = 0, point: int = 0, *, context_length: int | None = None) -> Any:
        """One model, scaled by the length that it was trained on or, where one is given, another.

        Where a model is scaled by 1/n of its context's rows, that is a plain number of the model,
        which a call on a prompt of m rows does not change; with `context_length` = m it is 1/m. In
        a sweep over lengths, whose longest is N, a point of n rows is trained with the scale 1/N,
        and for m rows has (1/N) (n/m). A scale that the config gives stays what it is.

        Raises:
          IndexError: for a seed or point outside the run.
          TypeError, ValueError: for a length that is not an integer above 0, and models that cannot
            run on another length, as H3 with a filter of as many taps, saying what can.
        """
        seeds, points = self.state.active.shape
        _within("model", seed=(seed, seeds), point=(point, points))
        graph = (
            None
            if context_length is None
            else graph_at("Trained.model", self.program, point, context_length)
        )
        return self.program.model(self.state, seed, point, graph)

    def task(self, point: int = 0) -> Any:
        """The task of one point, at its own context length; errors as `model`."""
        _within("task", point=(point, len(self.program.sweep)))
        return build_task(self.program.settings, self.program.sweep.names[point])

    def risk(
        self,
        num_prompts: int,
        *,
        task: Any = None,
        screen: Console | None = None,
        name: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared error of every model on fresh prompts, the same for all models.

        Args:
          num_prompts: at least so many.
          task: another than the models' own, as `evaluate` takes it.
          screen: where to show progress; silent where None.
          name: of the run, for progress; the folder's name where None.

        Returns:
          The error and its standard error, both [seeds, points]; one prompt alone has none (NaN).

        Raises:
          ValueError, TypeError: for less than one prompt.
        """
        checks.size("risk", num_prompts=(num_prompts, 1))
        if task is not None:
            found = self.evaluate(num_prompts, task=task, screen=screen, name=name)
            return found.mean, found.standard_error
        batch = self.program.settings.train.batch
        batches = math.ceil(num_prompts / batch)
        calls = math.ceil(batches / _BATCHES)
        each = math.ceil(batches / calls)  # one program for all calls
        mean = square = np.zeros(())
        total, pace = calls * each * batch, Pace()
        doing = f"{name or self.folder.name}: evaluating on {total:,} prompts"
        for call in progress.shown(range(calls), doing, screen):
            second, fourth = self._moments(call * each, each, pace)
            mean, square = mean + second / calls, square + fourth / calls
        with np.errstate(invalid="ignore", over="ignore"):  # a risk may be infinite
            variance = np.maximum(square - mean**2, 0.0)
        return mean, np.sqrt(variance / (total - 1)) if total > 1 else np.full_like(mean, np.nan)

    def _moments(self, first: int, batches: int, pace: Pace) -> tuple[np.ndarray, np.ndarray]:
        """Mean square and mean fourth power of the errors over batches from number `first` on."""
        found = self.program.room(self.state, batches)
        for done, count in pace.pieces(batches):
            numbers = map(np.int32, (first, done, count))
            found, means = self.program.risk(found, self.state, *numbers)
            second, fourth = (np.asarray(each, np.float64) for each in means)
        return second, fourth

    def evaluate(
        self,
        num_prompts: int,
        *,
        task: Any = None,
        draw: int = 0,
        depth: int | None = None,
        screen: Console | None = None,
        name: str | None = None,
        **shifts: Any,
    ) -> Evaluation:
        """Squared errors of every model on fresh prompts, of its own task or of another law.

            trained.evaluate(20_000)                                 # the task trained on
            trained.evaluate(20_000, context_length=80)              # longer contexts
            trained.evaluate(20_000, query_scale=3.0)                # see tasks.shifted
            trained.evaluate(20_000, task=tasks.Retrieval(5, 20, 0.5))

        Models are scaled by the length of the contexts that they are given, as `model` says. The
        mean is what `risk` measures; with three layers and more single prompts dominate it, as a
        stack of L layers is a polynomial of degree 3^L in its prompt, and the median and the mean
        of the best 99.9 % are given beside it.

        The errors of all prompts are kept, in float64 on the host, at most 10^8 of them; the device
        holds 2^22 of them at once, or those of one batch where these are more.

        Args:
          num_prompts: at least so many, a multiple of the batch trained with.
          task: any task of the run's dim, or settings for `tasks.build`; where None, the task that
            each point was trained on.
          draw: numbers of the same seed give the same prompts; 0 those of `risk`.
          depth: runs a tied stack for another number of layers, or steps, than it was trained with.
          screen: where to show progress; silent where None.
          name: of the run, for progress; the folder's name where None.
          **shifts: of the task, for `tasks.shifted`. A context_length of a run's own task is given
            to its settings, so that a drift given by its correlation has one of any length.

        Raises:
          KeyError: for another shift, with those there are.
          ValueError, TypeError: for less than one prompt or more than 10^8 errors; for a task of
            another dim, or a shift that it cannot have; for a model that cannot run on contexts of
            that length.
        """
        return evaluate(
            self,
            num_prompts,
            task=task,
            draw=draw,
            depth=depth,
            screen=screen,
            name=name,
            **shifts,
        )

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
        records = [record for record in self._records() if "loss" in record]
        losses = [record["loss"] for record in records]
        return _steps(records), self._stacked(losses)

    def watched_along_training(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The steps at which the run's `watch` was called, [times], and what it gave of every
        model, name -> [times, seeds, points], NaN where it was not finite or gave no such name."""
        records = [record for record in self._records() if "watched" in record]
        names = dict.fromkeys(name for record in records for name in record["watched"])
        absent = np.full(self.state.active.shape, np.nan)
        return _steps(records), {
            name: self._stacked([record["watched"].get(name, absent) for record in records])
            for name in names
        }

    def _records(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, which a run of no steps need not have.

        Raises:
          TrainingError: where they cannot be read, or are others than the run has written.
        """
        path = self.folder / METRICS
        wrong = self.written.differs(path) if self.written else ""
        # the last line may be in writing just now
        whole = contents(path).rpartition(b"\n")[0]
        try:
            if not wrong:
                return [strict_json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            wrong = f"holds a line that is no JSON ({error})"
        raise TrainingError(f"{path} {wrong}. Put the file back")

    def _stacked(self, tables: list[Any]) -> np.ndarray:
        """[times, seeds, points], also where there is none."""
        found = [np.array(table, np.float64) for table in tables]
        return np.reshape(found, (len(found), *self.state.active.shape))


def _steps(records: list[dict[str, Any]]) -> np.ndarray:
    return np.array([record["step"] for record in records], int)


def _within(where: str, **places: tuple[int, int]) -> None:
    """Refuses an index outside 0 .. count - 1: name -> (index, count); -1 is no last one."""
    for name, (index, count) in places.items():
        checks.instance(where, int | np.integer, "an integer", **{name: index})
        if isinstance(index, bool) or not 0 <= index < count:
            raise IndexError(f"{where}: {name} must be 0..{count - 1}, got {index!r}")
