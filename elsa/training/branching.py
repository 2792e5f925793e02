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
from elsa.training.program import Watch
from elsa.training.state import TrainState
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
    watch: Watch | None = None,
    overwrite: bool = False,
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
      given, targets, watch, overwrite, screen, name: as `fit`.

    Raises:
      ValueError: where the model's arrays are others than the source's, with both structures.
      FileNotFoundError: where the source has no checkpoint of that step, with those it has.
      TrainingError: where the folder holds another run, or a branch from elsewhere.
      KeyError, TypeError, files.WriteError, KeyboardInterrupt: as `fit`.
    """
    checks.boolean("branch", overwrite=overwrite)
    folder, comes_from = Path(workdir), os.path.abspath(source)
    if folder.resolve() == Path(source).resolve():
        raise ValueError(f"branch: workdir must be another folder than source={str(source)!r}")
    there = None if overwrite else origin.read(folder)
    if there is not None and there[:3] != (comes_from, run, at):
        raise TrainingError(
            f"{folder} holds a branch of {there.folder} at {there.at!r}, {comes_from} at {at!r} is "
            "asked for. Give another workdir"
        )
    begun = not overwrite and origin.has_checkpoint(folder)
    if begun and there is None:
        raise TrainingError(f"{folder} holds a run that is no branch. Give another workdir")
    program = program_of(config, given)

    def start() -> tuple[starting.Start, int]:
        found = all_models(source, run, at if there is None else there.step)
        where = f"branch: {found.folder} at step {found.step}"
        return starting.from_state(where, found.state, program), found.step

    # read before the folder is made: what does not fit leaves nothing there
    ready = None if begun else start()

    def begin() -> TrainState:
        begins, step = ready or start()
        origin.write(folder, Origin(comes_from, run, at, step))
        return begins.state(program)

    training = run_of(
        program,
        folder,
        given=given,
        init=None,
        targets=targets,
        watch=watch,
        screen=screen,
        name=name,
    )
    with held(folder, program.settings, overwrite=overwrite) as said:
        return training.train(begin, said=said, at_once=True)
