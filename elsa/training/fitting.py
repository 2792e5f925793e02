"""Training from a config: the config is checked, then the run begins or goes on."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from elsa.base import checks
from elsa.base.settings import Settings
from elsa.training import origin, starting
from elsa.training.folder import held
from elsa.training.loop import Run
from elsa.training.program import Program, Watch
from elsa.training.resuming import ACCEPT, SAME
from elsa.training.settings import RunSettings
from elsa.training.state import TrainState
from elsa.training.stored import digest
from elsa.training.sweep import make_sweep
from elsa.training.trackers import OPENS, OpenTracker, require
from elsa.training.trained import Trained


def fit(
    config: Settings,
    workdir: str | os.PathLike[str],
    *,
    given: Mapping[str, Any] | None = None,
    targets: Sequence[float] | np.ndarray | None = None,
    target_name: str = "theory",
    watch: Watch | None = None,
    tracker: OpenTracker | None = None,
    init: Any = None,
    init_noise: float = 0.0,
    overwrite: bool = False,
    extend: bool = False,
    environment: str = SAME,
    screen: Console | None = None,
    name: str | None = None,
) -> Trained:
    """Trains the models of a config, or goes on from the last checkpoint of the folder.

    Loss, sampling and update of all models run in one compiled scan. A run that was killed at any
    moment ends with the same bits as one that was not. Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP write a
    checkpoint first.

    Args:
      config: the fields of RunSettings, nested mappings.
      workdir: the run's folder: config.json, metrics.jsonl, checkpoints/.
      given: arrays that the model takes beside the config, as LoraAttention's base_weight.
      targets: the loss that theory predicts at each point, for progress and the tracker.
      target_name: what these call it, where it is not theory that says it.
      watch: a function of a model and the task of its point, to a flat dict of real numbers, which
        metrics.jsonl holds before the first step and at each evaluation. It is traced once, mapped
        over seeds and points, and must give the same for the same model; where context lengths
        are swept, the task has the longest.
      tracker: a function of a TrackedRun to a Tracker, in place of the one that the config's
        train.tracker names. Where a tracker fails, a warning says so and training goes on.
      init: where the models start, in place of weights drawn for them: an nnx model, or the folder
        of a run, whose newest checkpoint has weights for the same seeds and points, or for one
        that all share. Weights are cast to the run's dtype; what training leaves alone stays the
        config's. Going on asks for the same `init`.
      init_noise: standard deviation of what is added to every weight of `init`, for each seed its
        own, drawn by the config's seed.
      overwrite: moves what the folder holds to `<workdir>.<time>` first.
      extend: lets the run that the folder holds go on to a larger num_steps, all else equal, with
        the bits of a run that was asked for them from the start; so with decay="constant",
        average=0 and patience=0 only, unless it took no step yet. An empty folder starts a run.
      environment: "same" refuses to go on where the bits would be others than those of an unbroken
        run: with another x64 or other switch of jax, kind of device, or version of jax, jaxlib,
        flax or optax. "accept" goes on, and the checkpoints and env.json say from which step on.
      screen: where to show progress; silent where None.
      name: of the run, for progress; the folder's name where None.

    Raises:
      KeyError, TypeError, ValueError: for a config that makes no run, an array in `given` that the
        model does not take, an `init` of other arrays, a `watch` of anything but numbers.
      TrainingError: where the folder holds another run or is in use, what it holds is damaged, or a
        run cannot be extended or belongs to another environment; as its kind DivergedError, which
        has the run, where every model diverged.
      files.WriteError: where the disk is full; what was there is kept.
      KeyboardInterrupt: after Ctrl-C, or as its kind `base.stopping.Preempted` after another
        signal, once the checkpoint is written; its text says so.
    """
    checks.boolean("fit", overwrite=overwrite, extend=extend)
    checks.one_of("fit", "environment", environment, (SAME, ACCEPT))
    if overwrite and extend:
        raise ValueError("fit: overwrite and extend must not both be True: one run or a new one")
    checks.finite("fit", init_noise=init_noise)
    checks.at_least("fit", init_noise=(init_noise, 0.0))
    if init is None and init_noise:
        raise ValueError(f"fit: init_noise={init_noise!r} needs init, whose weights it is added to")
    checks.instance("fit", str | os.PathLike, "a path", workdir=workdir)
    if name is not None:
        checks.instance("fit", str, "the run's name", name=name)
    folder = Path(workdir)
    program = program_of(config, given)
    begins = None if init is None else starting.from_init(init, program, noise=init_noise)
    run = run_of(
        program,
        folder,
        given=given,
        init=begins,
        targets=targets,
        target_name=target_name,
        watch=watch,
        tracker=tracker,
        environment=environment,
        screen=screen,
        name=name,
    )

    def begin() -> TrainState:
        origin.refuse_unbegun(folder)
        return program.init() if begins is None else begins.state(program)

    with held(folder, program.settings, overwrite=overwrite, extend=extend) as said:
        return run.train(begin, said=said)


def program_of(config: Settings, given: Mapping[str, Any] | None) -> Program:
    """The program of a config, everything in it checked.

    Raises:
      KeyError, TypeError, ValueError: as `fit`.
    """
    settings = RunSettings.from_config(config)
    sweep = make_sweep(settings)
    if given is not None:
        checks.mapping("fit", "a mapping of arguments to arrays", given=given)
    for name, value in (given or {}).items():  # from the config, `load` builds the model again
        if np.ndim(value) == 0 or name in settings.model:
            raise ValueError(
                f"fit: given must hold arrays that the config leaves out, got {name!r}: "
                f"{value!r}; plain values belong into the config's model"
            )
    return Program(settings, sweep, **(given or {}))


def run_of(
    program: Program,
    folder: Path,
    *,
    given: Mapping[str, Any] | None,
    init: starting.Start | None,
    targets: Sequence[float] | np.ndarray | None,
    target_name: str,
    watch: Watch | None,
    tracker: OpenTracker | None,
    environment: str,
    screen: Console | None,
    name: str | None,
) -> Run:
    """A run that may begin once its folder is held.

    Raises:
      TypeError, ValueError: as `fit`.
    """
    checks.instance("fit", str, "a name", target_name=target_name)
    if tracker is None:
        require("fit", program.settings.train.tracker)
    else:
        checks.instance("fit", Callable, "a function of a TrackedRun", tracker=tracker)
    if targets is not None:
        checks.finite("fit", targets=targets)
        targets = np.asarray(targets)
        checks.shapes("fit", targets=(targets, "points"))
        if len(targets) != len(program.sweep):
            raise ValueError(
                f"fit: targets must have a number for each of the {len(program.sweep)} points, "
                f"got {len(targets)}"
            )
    sums = {key: digest(np.asarray(value)) for key, value in (given or {}).items()}
    return Run(
        program,
        folder,
        targets=targets,
        target_name=target_name,
        screen=screen,
        name=name or folder.name,
        sums={"given": sums, "init": {} if init is None else init.sums},
        tracker=tracker or OPENS[program.settings.train.tracker],
        watcher=None if watch is None else program.watcher(watch),
        accept=environment == ACCEPT,
    )
