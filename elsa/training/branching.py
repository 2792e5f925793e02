"""A new run from another one's checkpoint."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from elsa.base import checks
from elsa.base.settings import Settings
from elsa.training import origin, starting
from elsa.training.errors import TrainingError
from elsa.training.fitting import program_of, run_of
from elsa.training.folder import held
from elsa.training.loading import all_models
from elsa.training.origin import Origin
from elsa.training.program import Program, Watch
from elsa.training.resuming import ACCEPT, SAME
from elsa.training.settings import RunSettings
from elsa.training.setup import bare_program
from elsa.training.state import TrainState
from elsa.training.trackers import OpenTracker
from elsa.training.trained import Trained


def branch(
    source: str | os.PathLike[str],
    config: Settings,
    workdir: str | os.PathLike[str],
    *,
    run: str | None = None,
    at: int | str = "newest",
    given: Mapping[str, Any] | None = None,
    targets: Sequence[float] | np.ndarray | None = None,
    target_name: str = "theory",
    watch: Watch | None = None,
    tracker: OpenTracker | None = None,
    overwrite: bool = False,
    extend: bool = False,
    environment: str = SAME,
    screen: Console | None = None,
    name: str | None = None,
) -> Trained:
    """Trains on from a checkpoint of another run, with other settings, in a folder of its own.

    The models start from the checkpoint's weights, those that its last step gave, and from Adam's
    moments; steps are counted from 0 again, by which prompts and the learning rate go (another
    `seed` has other prompts). origin.json says where the branch comes from, and the first
    checkpoint is written before the first step: from then on the source is not needed, and the same
    call, or `fit` with the same config, goes on.

    Args:
      source: the folder of a run, or of an experiment, as `load` takes it.
      config: as `fit`; its model must have the source's arrays, and its seeds and points must be
        the source's, unless that has one for all.
      workdir: another folder than `source`.
      run: which of an experiment's runs; the first by name where None.
      at: "newest"; "best", the checkpoint with the lowest loss; or a step.
      given, targets, target_name, watch, tracker, overwrite, screen, name: as `fit`.
      extend: lets a branch that has begun go on to a larger num_steps, as `fit` does.
      environment: whether one that has begun goes on in another environment, as `fit` says.

    Raises:
      ValueError: where the model's arrays are others than the source's, with both structures.
      FileNotFoundError: where the source has no checkpoint of that step, with those it has.
      TrainingError: where the folder holds another run, or a branch from elsewhere.
      KeyError, TypeError, files.WriteError, KeyboardInterrupt: as `fit`.
    """
    checks.boolean("branch", overwrite=overwrite, extend=extend)
    checks.one_of("branch", "environment", environment, (SAME, ACCEPT))
    if overwrite and extend:
        raise ValueError("branch: overwrite and extend must not both be True: one run or a new one")
    checks.instance("branch", str | os.PathLike, "a path", source=source, workdir=workdir)
    for option, text in {"run": run, "name": name}.items():
        if text is not None:
            checks.instance("branch", str, "text", **{option: text})
    folder = Path(workdir)
    comes_from = Origin(os.path.abspath(source), run, at, 0)
    program = program_of(config, given)

    # read before the folder is made: a bad source leaves no folder
    ready = _start(source, folder, comes_from, program, overwrite=overwrite)

    def begin() -> TrainState:
        begins, step = ready or _read(source, comes_from, _origin_of(folder, comes_from), program)
        origin.write(folder, comes_from._replace(step=step))
        return begins.state(program)

    training = run_of(
        program,
        folder,
        given=given,
        init=None,
        targets=targets,
        target_name=target_name,
        watch=watch,
        tracker=tracker,
        environment=environment,
        screen=screen,
        name=name,
    )
    with held(folder, program.settings, overwrite=overwrite, extend=extend) as said:
        return training.train(begin, said=said, at_once=True)


def refuse(
    source: str | os.PathLike[str],
    config: Mapping[str, Any],
    workdir: str | os.PathLike[str],
    *,
    run: str | None,
    at: int | str,
    overwrite: bool = False,
) -> None:
    """Refuses what `branch` would refuse of its source and its folder, and changes nothing.

    Args:
      source, config, workdir, run, at, overwrite: as `branch`.

    Raises:
      KeyError, TypeError, ValueError, FileNotFoundError, TrainingError: as `branch`.
    """
    program = bare_program(RunSettings.from_config(config))
    comes_from = Origin(os.path.abspath(source), run, at, 0)
    _start(source, Path(workdir), comes_from, program, overwrite=overwrite)


def _start(
    source: str | os.PathLike[str],
    folder: Path,
    comes_from: Origin,
    program: Program,
    *,
    overwrite: bool,
) -> tuple[starting.Start, int] | None:
    """Where a branch starts, and the step of that checkpoint; None for one that has begun."""
    if folder.resolve() == Path(source).resolve():
        raise ValueError(f"branch: workdir must be another folder than source={str(source)!r}")
    there = None if overwrite else _origin_of(folder, comes_from)
    begun = not overwrite and origin.has_checkpoint(folder)
    if begun and there is None:
        raise TrainingError(f"{folder} holds a run that is no branch. Give another workdir")
    return None if begun else _read(source, comes_from, there, program)


def _origin_of(folder: Path, comes_from: Origin) -> Origin | None:
    """The folder's origin.json, refused where it names another checkpoint."""
    there = origin.read(folder)
    if there is not None and there[:3] != comes_from[:3]:
        raise TrainingError(
            f"{folder} holds a branch of {there.folder} at {there.at!r}, {comes_from.folder} at "
            f"{comes_from.at!r} is asked for. Give another workdir"
        )
    return there


def _read(
    source: str | os.PathLike[str], comes_from: Origin, there: Origin | None, program: Program
) -> tuple[starting.Start, int]:
    """The start that the source's checkpoint gives, and its step: the one taken before, if any."""
    at = comes_from.at if there is None else there.step
    try:
        found = all_models(source, comes_from.run, at)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"branch: source={str(source)!r}, at={at!r}: {error}") from error
    where = f"branch: {found.folder} at step {found.step}"
    return starting.from_state(where, found.state, program), found.step
