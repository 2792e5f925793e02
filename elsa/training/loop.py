"""The loop around the compiled program: metrics, checkpoints, resuming, stopping."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from elsa.base import stopping, strict_json
from elsa.training import diverged, sharing
from elsa.training.checkpoint import Checkpoints
from elsa.training.errors import TrainingError
from elsa.training.pieces import Pieces
from elsa.training.program import Program
from elsa.training.progress import TrainingProgress
from elsa.training.resuming import Fitting, Places, plain_config
from elsa.training.state import Skipped, TrainState
from elsa.training.stored import Restored
from elsa.training.trackers import OpenTracker, TrackedRun
from elsa.training.tracking import Tracking, numbers_of
from elsa.training.trained import CHECKPOINTS, METRICS, Trained
from elsa.training.writers import MetricsFile, contents, metrics_line, plain

_WITHIN_A_STRETCH = 10.0  # seconds between checkpoints that no evaluation goes with, at least


class Run:
    """One process's part of a run.

    Args:
      program: compiled for its settings.
      folder: held by this process.
      targets: the loss that each point's is set beside; None where unknown.
      target_name: what that is, as "theory".
      screen: where to show progress; silent where None.
      name: of the run.
      sums: digests of arrays that are not in the config, by what they are: "given", "init".
      tracker: opens what shows the losses; None for nothing.
      watcher: numbers of all models, computed at each evaluation; None where nothing is watched.
      accept: goes on in an environment that changes bits.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        *,
        targets: Any,
        target_name: str,
        screen: Console | None,
        name: str,
        sums: Mapping[str, Mapping[str, str]],
        tracker: OpenTracker | None = None,
        watcher: Callable[[TrainState], Mapping[str, Any]] | None = None,
        accept: bool = False,
    ):
        self.program, self.folder, self.name = program, folder, name
        self.targets, self.target_name = targets, target_name
        self.sums, self.watcher = {key: dict(value) for key, value in sums.items()}, watcher
        self._accept, self._tracker = accept, tracker
        self.settings, self.train_settings = program.settings, program.settings.train
        target = None if targets is None else float(np.mean(targets))
        models = self.settings.num_seeds * len(program.sweep)
        self.progress = TrainingProgress(
            screen,
            name=name,
            num_steps=self.train_settings.num_steps,
            prompts=self.train_settings.batch * models,
            target=target,
            target_name=target_name,
        )

    def train(
        self, begin: Callable[[], TrainState], *, said: Sequence[str] = (), at_once: bool = False
    ) -> Trained:
        """Restores, trains to the end, and leaves a checkpoint of it.

        Args:
          begin: the state of a run that has no whole checkpoint.
          said: lines for the screen.
          at_once: whether the first checkpoint is written before the first step.

        Raises:
          TrainingError, files.WriteError, KeyboardInterrupt: as `fit`.
        """
        for line in said:
            self.progress.say(f"{self.name}: {line}")
        with Checkpoints(self.folder / CHECKPOINTS, keep=self.train_settings.keep) as checkpoints:
            fits = Fitting(self.folder, self.settings)
            found = checkpoints.restore(self.program.shapes, fits=fits)
            start = found or Restored(0, begin(), {"position": 0, **self.sums})
            self._refuse_other_arrays(start.notes)
            # what "auto" takes may change between versions, but not within a run
            self.program.sampler = start.notes.get("sampler", self.program.sampler)
            if found:  # a run from before there were two goes on as it began
                self.program.arithmetic = found.notes.get("arithmetic", 1)
            self._places = Places(self.folder, start.notes.get("environments"), start.step)
            over = found is not None and self._is_finished(start.step, start.state)
            if elsewhere := "" if over else self._places.refuse(accept=self._accept):
                self.progress.say(f"{self.name}: {elsewhere}")
            if not found and contents(self.folder / METRICS):
                lost = f"{METRICS} has lines, but there is no checkpoint; starting at step 0"
                self.progress.say(f"{self.name}: {lost}")
            metrics = MetricsFile(self.folder / METRICS, int(start.notes["position"]))
            if over:
                return self._ended(start.state, start.step, metrics)
            self._places.write()
            if not found and self.watcher:
                metrics.append({"step": 0, "watched": self._watched(start.state)})
            if not found and (at_once or self._is_finished(0, start.state)):
                self._save(checkpoints, metrics, 0, start.state, None)
            if self._is_finished(start.step, start.state):
                checkpoints.wait()
                return self._ended(start.state, start.step, metrics)
            tracking, pieces = self._tracking(start.step), sharing.pieces(self.program)
            closing = contextlib.closing(tracking), contextlib.closing(pieces)
            with closing[0], closing[1], self.progress, stopping.noted() as asked_to_stop:
                if found and start.step:
                    self.progress.say(
                        f"{self.name}: going on from step {start.step:,} in {self.folder}"
                    )
                    self.progress.reaches(start.step)
                if placed := pieces.said():
                    self.progress.say(f"{self.name}: {placed}")
                return self._loop(start, pieces, checkpoints, metrics, tracking, asked_to_stop)

    def _is_finished(self, step: int, state: TrainState) -> bool:
        train = self.train_settings
        evaluated = step % train.evaluate_every == 0  # models that stop before have a line to come
        return evaluated and (step >= train.num_steps or not np.asarray(state.active).any())

    def _refuse_other_arrays(self, notes: Mapping[str, Any]) -> None:
        """Refuses other arrays than those of the checkpoint, which would be ignored silently."""
        # the first versions wrote no digests of what was given; of a start, there was none
        there = {"given": notes.get("given", self.sums["given"]), "init": notes.get("init", {})}
        for kind, own in self.sums.items():
            for key in sorted({*there[kind], *own}):
                if there[kind].get(key) != own.get(key):
                    other = f"init, which differs in {key}" if kind == "init" else key
                    raise TrainingError(
                        f"{self.folder} holds a run with another {other}; give the same "
                        f"{'init' if kind == 'init' else 'array'}, or another workdir"
                    )

    def _loop(
        self,
        start: Restored,
        pieces: Pieces,
        checkpoints: Checkpoints,
        metrics: MetricsFile,
        tracking: Tracking,
        asked_to_stop: stopping.StopRequest,
    ) -> Trained:
        train, state, step = self.train_settings, start.state, start.step
        saved, finished = time.monotonic(), False
        while not finished:
            state, step, loss = pieces.advance(state, step)
            whole = None if loss is None else pieces.whole(state)
            if loss is None or whole is None:
                self.progress.reaches(step)
                pause = max(train.checkpoint_seconds, _WITHIN_A_STRETCH)
            else:
                metrics.append(self._line(step, loss, whole))
                self._show(step, loss, tracking)
                pause = train.checkpoint_seconds
                finished = self._is_finished(step, whole)
            due = time.monotonic() - saved >= pause
            asked = (
                asked_to_stop.is_set()
            )  # asked once: one that comes now waits for its checkpoint
            if finished or due or asked:
                tracking.flush()
                whole = whole or pieces.whole(state)
                self._save(checkpoints, metrics, step, whole, loss)
                saved = time.monotonic()
                asked = asked_to_stop.is_set()
            finished |= asked
        assert whole is not None  # it was saved
        checkpoints.wait()
        if asked_to_stop.is_set():  # while the last checkpoint was written, too
            raise asked_to_stop.error(
                f"training stopped at step {step:,} of {train.num_steps:,}; its checkpoint is "
                f"in {self.folder / CHECKPOINTS}, the same command goes on from there"
            )
        return self._ended(whole._replace(part=()), step, metrics)

    def _line(self, step: int, loss: np.ndarray, state: TrainState) -> dict[str, Any]:
        """One line of metrics.jsonl."""
        line = metrics_line(step, loss, np.asarray(state.active), np.asarray(state.diverged))
        if isinstance(state.skipped, Skipped):
            line["skipped"] = int(np.asarray(state.skipped.lately).sum())
        since = step - self.train_settings.evaluate_every
        lost = [one for one in diverged.found(state) if one.step is not None and one.step > since]
        if lost:
            line["diverged_at"] = [one._asdict() for one in lost]
        if self.watcher:
            line["watched"] = self._watched(state)
        return line

    def _watched(self, state: TrainState) -> dict[str, Any]:
        found = self.watcher(state) if self.watcher else {}
        return {name: plain(np.asarray(value, np.float64)) for name, value in found.items()}

    def _save(
        self,
        checkpoints: Checkpoints,
        metrics: MetricsFile,
        step: int,
        state: TrainState,
        loss: np.ndarray | None,
    ) -> None:
        if not step % self.train_settings.evaluate_every:
            state = state._replace(part=())
        usable = [] if loss is None else loss[~np.asarray(state.diverged) & np.isfinite(loss)]
        notes = {
            "position": metrics.position,
            "metrics": metrics.written.digest,
            "config": plain_config(self.settings),
            "environments": self._places.all,
            "finished": self._is_finished(step, state),
            "sampler": self.program.sampler,
            "arithmetic": self.program.arithmetic,
            "loss": float(np.mean(usable)) if len(usable) else None,
            **self.sums,
        }
        checkpoints.save(step, state, notes)

    def _show(self, step: int, loss: np.ndarray, tracking: Tracking) -> None:
        numbers = self._numbers(loss)
        self.progress.update(step, numbers.get("loss/mean", float("nan")))
        tracking.add(step, numbers)

    def _numbers(self, loss: np.ndarray) -> dict[str, float]:
        labels = [diverged.point_name(point) or "all" for point in self.program.sweep.names]
        return numbers_of(loss, labels, self.targets, self.target_name)

    def _tracking(self, step: int) -> Tracking:
        run = TrackedRun(self.folder, self.name, self.settings.to_dict(), step)

        def before() -> list[tuple[int, dict[str, float]]]:
            lines = contents(self.folder / METRICS).splitlines()
            records = [strict_json.loads(line) for line in lines]
            return [
                (r["step"], self._numbers(np.array(r["loss"], self.settings.dtype)))  # None is NaN
                for r in records
                if "loss" in r
            ]

        return Tracking(self._tracker, run, before)

    def _ended(self, state: TrainState, step: int, metrics: MetricsFile) -> Trained:
        """The run's models; which of them diverged is said.

        Raises:
          DivergedError: where all did.
        """
        state = self.program.placing.gathered(state)
        trained = Trained(self.program, state, step, self.folder, metrics.written)
        lost = diverged.found(state)
        if not lost:
            return trained
        names = self.program.sweep.names
        which = diverged.said(lost, names)
        if len(lost) == np.asarray(state.diverged).size:
            rates = diverged.rates(self.train_settings.learning_rate, names)
            raise diverged.DivergedError(
                f"{self.name}: every model diverged; a lower learning_rate may help, {rates}. "
                f"Diverged are {which}. Metrics are in {self.folder / METRICS}",
                trained,
            )
        self.progress.say(
            f"{self.name}: {len(lost)} of {np.asarray(state.diverged).size} models diverged and "
            f"stopped: {which}"
        )
        return trained
