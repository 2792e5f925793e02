"""The loop around the compiled program: metrics, checkpoints, resuming, stopping."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from elsa.base import checks
from elsa.training.checkpoint import Checkpoints, Restored, digest
from elsa.training.errors import TrainingError
from elsa.training.folder import held, stop_signals
from elsa.training.program import Program
from elsa.training.progress import TrainingProgress
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep
from elsa.training.trained import CHECKPOINTS, EVENTS, METRICS, Trained
from elsa.training.writers import EventFiles, MetricsFile

_MANY_POINTS = 24  # beyond, TensorBoard shows the whole sweep's mean and range only


def fit(
    config: Mapping[str, Any],
    workdir: str | os.PathLike[str],
    *,
    given: Mapping[str, Any] | None = None,
    targets: Sequence[float] | np.ndarray | None = None,
    screen: Console | None = None,
    name: str | None = None,
) -> Trained:
    """Trains the models of a config, or goes on where the folder's last checkpoint stands.

    Loss, sampling and update of all models run in one compiled scan. A run that was killed at any
    moment ends with the same bits as one that was not. Ctrl-C and SIGTERM write a checkpoint first.

    Args:
      config: the fields of RunSettings, nested mappings.
      workdir: the run's folder: config.json, metrics.jsonl, checkpoints/, tensorboard/.
      given: arrays that the model takes beside the config, as LoraAttention's base_weight.
      targets: the loss that theory predicts at each point, for progress and TensorBoard.
      screen: where to show progress; silent where None.
      name: of the run, for progress; the folder's name where None.

    Raises:
      KeyError, TypeError, ValueError: for a config that makes no run, or an array in `given` that
        the model does not take.
      TrainingError: where the folder holds another run or is in use, or every model diverged.
      files.WriteError: where the disk is full; what was there is kept.
      KeyboardInterrupt: after Ctrl-C, once the checkpoint is written; its text says so.
    """
    settings = RunSettings.from_config(config)
    checks.instance("fit", str | os.PathLike, "a path", workdir=workdir)
    if given is not None:
        checks.mapping("fit", "a mapping of arguments to arrays", given=given)
    if name is not None:
        checks.instance("fit", str, "the run's name", name=name)
    sweep = make_sweep(settings)
    if targets is not None:
        checks.finite("fit", targets=targets)
        targets = np.asarray(targets)
        checks.shapes("fit", targets=(targets, "points"))
        if len(targets) != len(sweep):
            raise ValueError(
                f"fit: targets must have a number for each of the {len(sweep)} points, "
                f"got {len(targets)}"
            )
    _require_arrays(given or {}, settings)
    program = Program(settings, sweep, **(given or {}))
    folder = Path(workdir)
    with held(folder, settings):
        sums = {key: digest(np.asarray(value)) for key, value in (given or {}).items()}
        return _Run(program, folder, targets, screen, name or folder.name, sums).train()


def _require_arrays(given: Mapping[str, Any], settings: RunSettings) -> None:
    """Refuses what belongs into the config, from which `load` builds the model again."""
    for name, value in given.items():
        if np.ndim(value) == 0 or name in settings.model:
            raise ValueError(
                f"fit: given must hold arrays that the config leaves out, got {name!r}: "
                f"{value!r}; plain values belong into the config's model"
            )


class _Run:
    """One process's part of a run."""

    def __init__(
        self,
        program: Program,
        folder: Path,
        targets: Any,
        screen: Console | None,
        name: str,
        given: Mapping[str, str],
    ):
        self.program, self.folder, self.targets, self.name = program, folder, targets, name
        self.given = dict(given)
        self.settings, self.train_settings = program.settings, program.settings.train
        target = None if targets is None else float(np.mean(targets))
        models = self.settings.num_seeds * len(program.sweep)
        self.progress = TrainingProgress(
            screen,
            name=name,
            num_steps=self.train_settings.num_steps,
            prompts=self.train_settings.batch * models,
            target=target,
        )

    def train(self) -> Trained:
        """Restores, trains to the end, and leaves a checkpoint of it."""
        with Checkpoints(self.folder / CHECKPOINTS, keep=self.train_settings.keep) as checkpoints:
            like = jax.eval_shape(self.program.init)
            found = checkpoints.restore(like)
            start = found or Restored(0, self.program.init(), {"position": 0, "finished": False})
            self._refuse_other_arrays(start.notes.get("given", self.given))
            # what "auto" takes may change between versions, but not within a run
            self.program.sampler = start.notes.get("sampler", self.program.sampler)
            metrics = MetricsFile(self.folder / METRICS, int(start.notes["position"]))
            if start.notes["finished"]:
                self._report_diverged(np.asarray(start.state.diverged))
                return Trained(self.program, start.state, start.step, self.folder)
            events = EventFiles(self.folder / EVENTS, start.step)
            with contextlib.closing(events), self.progress, stop_signals() as asked_to_stop:
                if found:
                    self.progress.say(
                        f"{self.name}: going on from step {start.step:,} in {self.folder}"
                    )
                    self.progress.resumes(start.step)
                return self._loop(start, checkpoints, metrics, events, asked_to_stop)

    def _refuse_other_arrays(self, there: Mapping[str, str]) -> None:
        """The checkpoint's arrays count, so that others would be passed over without a word."""
        for key in sorted({*there, *self.given}):
            if there.get(key) != self.given.get(key):
                raise TrainingError(
                    f"{self.folder} holds a run with another {key}; give the same array, or "
                    "another workdir"
                )

    def _loop(
        self,
        start: Restored,
        checkpoints: Checkpoints,
        metrics: MetricsFile,
        events: EventFiles,
        asked_to_stop: threading.Event,
    ) -> Trained:
        train, state, step = self.train_settings, start.state, start.step
        saved = time.monotonic()
        finished = False
        while not finished:
            state, losses = self.program.advance(state, jnp.int32(step))
            step += train.evaluate_every
            loss = np.asarray(losses, np.float64)
            active = np.asarray(state.active)
            metrics.append(_record(step, loss, active, np.asarray(state.diverged)))
            self._show(step, loss, events)
            finished = step >= train.num_steps or not active.any()
            due = time.monotonic() - saved >= train.checkpoint_seconds
            if finished or due or asked_to_stop.is_set():
                events.flush()
                notes = {
                    "position": metrics.position,
                    "finished": finished,
                    "given": self.given,
                    "sampler": self.program.sampler,
                }
                checkpoints.save(step, state, notes)
                saved = time.monotonic()
            if asked_to_stop.is_set():
                checkpoints.wait()
                raise KeyboardInterrupt(
                    f"training stopped at step {step:,} of {train.num_steps:,}; its checkpoint is "
                    f"in {self.folder / CHECKPOINTS}, the same command goes on from there"
                )
        checkpoints.wait()
        self._report_diverged(np.asarray(state.diverged))
        return Trained(self.program, state, step, self.folder)

    def _show(self, step: int, loss: np.ndarray, events: EventFiles) -> None:
        finite = loss[np.isfinite(loss)]
        mean = float(finite.mean()) if finite.size else math.nan
        self.progress.update(step, mean)
        scalars = {"loss/mean": mean}
        if finite.size:
            scalars |= {"loss/lowest": float(finite.min()), "loss/highest": float(finite.max())}
        points = self.program.sweep.names
        for index, point in enumerate(points if len(points) <= _MANY_POINTS else ()):
            label = ",".join(f"{axis}={_short(value)}" for axis, value in point.items()) or "all"
            scalars[f"loss_by_point/{label}"] = float(loss[:, index].mean())
            if self.targets is not None:
                scalars[f"theory/{label}"] = float(self.targets[index])
        # TensorBoard draws no NaN, and tensorboardX prints a warning for each
        events.add(step, {name: v for name, v in scalars.items() if math.isfinite(v)})

    def _report_diverged(self, diverged: np.ndarray) -> None:
        if diverged.all():
            raise TrainingError(
                f"{self.name}: every model diverged; a lower learning_rate may help, it was "
                f"{self.train_settings.learning_rate}. Metrics are in {self.folder / METRICS}"
            )
        if diverged.any():
            self.progress.say(
                f"{self.name}: {int(diverged.sum())} of {diverged.size} models diverged and stopped"
            )


def _record(
    step: int, loss: np.ndarray, active: np.ndarray, diverged: np.ndarray
) -> dict[str, Any]:
    """One line of metrics.jsonl: losses by seed and point, None where they are not finite."""
    return {
        "step": step,
        "loss": [[float(v) if math.isfinite(v) else None for v in row] for row in loss],
        "active": int(active.sum()),
        "diverged": int(diverged.sum()),
    }


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else f"{np.size(value)} numbers"
