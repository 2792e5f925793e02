"""Trained models, opened for analysis."""

import math
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from elsa.base import checks, strict_json
from elsa.training.checkpoint import Checkpoints
from elsa.training.contracts import check_registered
from elsa.training.errors import TrainingError
from elsa.training.resuming import refuse_other_config
from elsa.training.settings import RunSettings
from elsa.training.setup import bare_program
from elsa.training.trained import CHECKPOINTS, CONFIG, METRICS, Trained
from elsa.training.writers import contents, written_of

RUNS = "training"  # the folder of an experiment's runs


class Loaded(NamedTuple):
    """A run's config, the task of one point, and the model trained on it."""

    config: ConfigDict
    task: Any
    model: Any


def load(
    workdir: str | os.PathLike[str],
    run: str | None = None,
    *,
    at: int | str = "newest",
    point: int = 0,
    seed: int | None = None,
) -> Loaded:
    """Opens a finished or interrupted run: `config, task, model = load(workdir)`.

    Nothing in the folder is changed, and the run may be going on meanwhile.

    Args:
      workdir: the folder of a run, or of an experiment, which holds runs in `training/`.
      run: which of an experiment's runs; the first by name where None.
      at: which of its checkpoints: "newest"; "best", the one with the lowest loss, averaged over
        the models that did not diverge; or a step.
      point: which point of the sweep, in the order of `all_models(workdir).program.sweep.names`.
      seed: which seed; where None, the one with the lowest mean loss over the last quarter of its
        training, of those that did not diverge.

    Returns:
      config (a ConfigDict, every default written out), the task as that point has it, and the
      model: `model(task.sample(key, batch))` are predictions.

    Raises:
      FileNotFoundError: where there is no run, no whole checkpoint or none of that step, naming
        what is there.
      KeyError: for an unknown run, naming the nearest.
      TrainingError: for a config.json or metrics.jsonl that cannot be read, or is not the run's;
        for a point whose seeds all diverged, unless a seed is asked for.
      IndexError: for a point or seed outside the sweep.
    """
    trained = all_models(workdir, run, at)
    seeds, points = trained.state.active.shape
    for name, index in {"point": point, "seed": 0 if seed is None else seed}.items():
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise TypeError(f"load: {name} must be an integer, got {index!r}")
    if not 0 <= point < points:
        raise IndexError(f"load: point must be 0..{points - 1}, got {point}")
    state = trained.state
    diverged = np.asarray(state.diverged)[:, point]
    if seed is None and diverged.all():
        raise TrainingError(
            f"load: every seed of point {point} diverged; pass seed=0..{seeds - 1} for the weights "
            "that one had before"
        )
    try:
        chosen = _best_seed(trained, point, diverged) if seed is None else seed
    except TrainingError as error:
        raise TrainingError(f"load: {error}, or pass seed=0..{seeds - 1}") from error
    if not 0 <= chosen < seeds:
        raise IndexError(f"load: seed must be 0..{seeds - 1}, got {chosen}")
    config = ConfigDict(trained.program.settings.to_dict())
    return Loaded(config, trained.task(point), trained.model(chosen, point))


def _best_seed(trained: Trained, point: int, diverged: np.ndarray) -> int:
    """One evaluation alone is too noisy to tell seeds apart: a quarter of them is averaged."""
    late = np.asarray(trained.state.best)[:, point]
    path = trained.folder / METRICS
    if trained.step and not contents(path):
        warnings.warn(
            f"{path} is missing or empty: the seed is that of the lowest loss at any evaluation",
            stacklevel=3,
        )
        return int(np.argmin(np.where(diverged, np.inf, late)))
    steps, losses = trained.risk_along_training()
    known = steps <= trained.step
    if known.any():
        own = losses[known, :, point]
        late = own[-math.ceil(len(own) / 4) :].mean(axis=0)
    return int(np.argmin(np.where(diverged, np.inf, late)))


def all_models(
    workdir: str | os.PathLike[str], run: str | None = None, at: int | str = "newest"
) -> Trained:
    """All models of a run as far as its last whole checkpoint goes, or the one asked for.

    Raises:
      FileNotFoundError, KeyError, TrainingError: as `load`.
    """
    checks.instance("load", str | os.PathLike, "a path", workdir=workdir)
    try:
        folder = _run_folder(Path(workdir), run)
    except FileNotFoundError:
        raise
    except OSError as error:
        place = error.filename or workdir
        raise TrainingError(f"load: cannot read {place}: {error.strerror or error}") from error
    try:
        config = strict_json.loads_object((folder / CONFIG).read_bytes())
        settings = RunSettings.from_config(config)
    except (KeyError, TypeError, ValueError, OSError) as error:
        said = error.args[0] if isinstance(error, KeyError) else error
        raise TrainingError(f"load: cannot read {folder / CONFIG}: {said}; put it back") from error
    check_registered(f"load: {folder}", settings.task, settings.model)
    with Checkpoints(folder / CHECKPOINTS, read_only=True) as checkpoints:
        program = bare_program(settings)  # the arrays that it lacks are in the checkpoint
        found = checkpoints.restore(
            program.shapes, at, fits=lambda notes: refuse_other_config(notes, settings)
        )
    if found is None:
        raise FileNotFoundError(f"load: {folder} holds no whole checkpoint yet")
    return Trained(program, found.state, found.step, folder, written_of(found.notes))


def _run_folder(workdir: Path, run: str | None) -> Path:
    """The folder of one run."""
    runs = workdir / RUNS
    names = os.listdir(runs) if runs.is_dir() else []  # `glob` is silent where it must not read
    below = sorted(name for name in names if (runs / name / CONFIG).is_file())
    if run is not None:
        checks.known_names(f"load: {workdir}", "run", [run], below)
    if below:
        return workdir / RUNS / (run or below[0])
    if not (workdir / CONFIG).is_file():
        lost = "; put it back" if (workdir / CHECKPOINTS).is_dir() else ""
        raise FileNotFoundError(
            f"load: workdir {workdir} is no run folder: it has no {CONFIG} and no "
            f"{RUNS}/*/{CONFIG}{lost}"
        )
    return workdir
