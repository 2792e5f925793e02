"""Cases that train: one run of `elsa.training` each, its risks beside what theory predicts.

A config holds `runs`, name -> task, model and sweep, and what all runs share: `train`, `num_seeds`,
`dtype`, `seed`, `eval_prompts`; a run may have `train` or `num_seeds` of its own. A driver says
what theory predicts at a point; a record is a point.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from elsa import training
from elsa.training.program import Watch
from elsa.training.sweep import build_task
from experiments.harness.experiment import FAILED, Branch, Case, Place, Record, RunError
from experiments.trained import checking, lost, runs, weight_distances
from experiments.trained.predictions import Predict, Prediction, Run

_BY_DIMENSION = ("cov_x", "cov_task", "task_mean")  # numbers of a task, one for each dimension
_PLACES = 51  # of a line of theory
_DIGITS = 100  # roundings of labels of size 1: an error is one below that many of them
_MOST_ERRORS = 20_000_000  # that are kept at once, of all models: 160 MB


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """The config's runs."""
    return {name: {"run": name, **run.to_dict()} for name, run in config.runs.items()}


def check(config: ConfigDict) -> None:
    """Refuses a config whose runs cannot be built."""
    checking.runs(config)
    for name in config.runs:
        run = config.runs[name].to_dict()
        try:
            training.validate(settings_of(config, run))
        except ValueError as error:
            stale = _of_other_sizes(run)
            if not stale:
                raise
            keys = " and ".join(f"--config.runs.{name}.{key}" for key in stale)
            raise ValueError(
                f"{error}; with another task.dim give {keys}, a number for each dimension"
            ) from error


def _of_other_sizes(run: Mapping[str, Any]) -> list[str]:
    """Keys of a run whose numbers are of another dimension than its task."""
    task, dim = run["task"], run["task"].get("dim")
    swept = {key: values for key, values in run.get("sweep", {}).items() if key in _BY_DIMENSION}
    own = [key for key in _BY_DIMENSION if key not in swept and np.size(task.get(key, ()))]
    return [
        *(f"task.{key}" for key in own if len(task[key]) != dim),
        *(f"sweep.{key}" for key, values in swept.items() if {len(v) for v in values} != {dim}),
    ]


def refuse_extension(config: ConfigDict, case: Case, folder: Path) -> None:
    """Refuses a run of the folder that cannot go on to the config's steps."""
    runs.refuse_extension(settings_of(config, case), case["run"], folder)


def refuse_branch(
    config: ConfigDict, case: Case, folder: Path, branch: Branch, overwrite: bool
) -> None:
    """Refuses a run that cannot start from the branch's checkpoint, or does not come from it."""
    runs.refuse_branch(settings_of(config, case), case["run"], folder, branch, overwrite)


def settings_of(config: ConfigDict, case: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one run for `training.fit`."""
    shared = {"seed": config.seed, "dtype": config.dtype}
    num_seeds = case.get("num_seeds", config.num_seeds)
    of_case = {"task": case["task"], "model": case["model"], "sweep": case.get("sweep", {})}
    train = {**config.train.to_dict(), **case.get("train", {})}
    return {**shared, "num_seeds": num_seeds, **of_case, "train": train}


def predictions(
    config: ConfigDict,
    case: Mapping[str, Any],
    predict: Predict,
    given: Mapping[str, Any] | None = None,
) -> list[tuple[dict[str, Any], Prediction]]:
    """Every point of a run, with theory's prediction."""
    settings = training.RunSettings.from_config(settings_of(config, case))
    run = Run(config=config, model=case["model"], given=given or {})
    return [(name, predict(build_task(settings, name), name, run)) for name in settings.points]


def predictions_along(
    config: ConfigDict, run: str, predict: Predict, axis: str, **others: Any
) -> list[tuple[float, Prediction]]:
    """Theory's predictions of a run along one axis of its sweep, to be drawn as a line.

    Args:
      config, run, predict: as of the run that was trained.
      axis: of the sweep; whole numbers between the ends where its values are whole.
      **others: the values of the sweep's other axes.
    """
    case = cases(config)[run]
    values = case["sweep"][axis]
    places = np.linspace(min(values), max(values), _PLACES)
    if all(isinstance(value, int) for value in values):
        places = np.unique(places.round().astype(int))
    sweep = {**{other: (value,) for other, value in others.items()}, axis: tuple(places.tolist())}
    at_points = predictions(config, {**case, "sweep": sweep}, predict)
    return [(point[axis], prediction) for point, prediction in at_points]


def train(
    config: ConfigDict,
    case: Mapping[str, Any],
    place: Place,
    predict: Predict,
    *,
    given: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
    init: Any = None,
    init_noise: float = 0.0,
    target_name: str = "theory",
    robust: bool = False,
) -> tuple[training.Trained, list[Record]]:
    """Trains one run in `training/NAME` of the run's folder; a record for each point.

    A point whose seeds all diverged has a record without a risk; `lost` says what of it diverged.

    Args:
      config, case, place: of the run.
      predict: what theory says at a point.
      given: arrays that the model takes at its start.
      watch: of a model and its task, what `training.fit` writes along training.
      init, init_noise: where the models start, as `training.fit` takes it; None for fresh ones.
      target_name: what progress calls the target of `predict`.
      robust: measures the median and the mean of the best 99.9 % of the squared errors too.

    Raises:
      RunError: where training cannot go on; KeyboardInterrupt and files.WriteError pass through.
    """
    expected = predictions(config, case, predict, given)
    targets = np.array([prediction["target"] for _, prediction in expected])
    try:
        try:
            trained = runs.trained(
                settings_of(config, case),
                case["run"],
                place,
                init=init,
                init_noise=init_noise,
                given=given,
                targets=targets,
                target_name=target_name,
                watch=watch,
            )
        except training.DivergedError as error:
            trained = error.trained  # whose records say so
        times, losses = trained.risk_along_training()
    except training.TrainingError as error:
        raise RunError(str(error), exit_code=FAILED) from error
    look = {"screen": place.screen, "name": case["run"]}
    risk, spread, beside = _risk(trained, config.eval_prompts, robust=robust, **look)
    risk = np.where(np.asarray(trained.state.diverged), np.nan, risk)
    risk = np.where(np.isinf(spread), np.nan, risk)  # as a record takes it
    of_lost = lost.of_points(config, case, trained, risk)
    weights = _preconditioners(trained)
    rounding = (_DIGITS * float(jnp.finfo(config.dtype).eps)) ** 2
    records = []
    for index, (point, prediction) in enumerate(expected):
        of_point = risk[:, index], spread[:, index]
        record = record_of(case, point, prediction, *of_point, rounding=rounding)
        best = prediction.get("preconditioner")
        if weights is not None and best is not None:
            kept = weights[~np.isnan(risk[:, index]), index]  # no diverged ones
            if len(kept):
                record["preconditioner_distance"] = weight_distances.between(kept, np.asarray(best))
        along = {"steps": times.tolist(), "losses": plain(losses[:, :, index])}
        record |= {"steps": trained.step, "along_training": along, **of_lost[index]}
        if beside:
            record["of_seeds"] = of_seeds(beside, risk[:, index], index)
        records.append(record)
    return trained, records


def _risk(
    trained: training.Trained, num_prompts: int, *, robust: bool, **look: Any
) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
    """Risk of all models, its standard error, and, if asked for, median and trimmed mean.

    These two are of fewer prompts where the errors of all models are too many to be kept.
    """
    if not robust:
        return *trained.risk(num_prompts, **look), {}
    kept = max(1, min(num_prompts, _MOST_ERRORS // trained.state.active.size))
    found = trained.evaluate(kept, **look)
    beside = {"median": found.median, "trimmed_mean": found.trimmed_mean}
    if kept < num_prompts:
        return *trained.risk(num_prompts, **look), beside
    return found.mean, found.standard_error, beside


def of_seeds(
    found: Mapping[str, np.ndarray], risks: np.ndarray, point: int
) -> dict[str, list[float | None]]:
    """Numbers of every seed at one point, None for the seeds that diverged.

    Args:
      found: name -> [seeds, points].
      risks: of the point's seeds, not finite where one diverged.
      point: which.
    """
    reached = np.isfinite(risks)
    return {
        name: plain(np.where(reached, values[:, point], np.nan)) for name, values in found.items()
    }


def plain(values: np.ndarray) -> list[Any]:
    """Nested lists, None where a number is not finite."""
    found = np.asarray(values, np.float64)
    entries = np.array(found, object)
    entries[~np.isfinite(found)] = None
    lists: list[Any] = entries.tolist()
    return lists


def record_of(
    case: Mapping[str, Any],
    point: Mapping[str, Any],
    prediction: Prediction,
    risks: np.ndarray,
    errors: np.ndarray,
    *,
    rounding: float = 0.0,
) -> Record:
    """Measured and predicted risk of one point, over its seeds, in units of the prediction's.

    No excess is told of a target of 0, or one up to `rounding`, of which no digit is known.
    """
    unit = float(prediction.get("unit", 1.0))
    risks, errors = risks / unit, errors / unit
    # a risk whose own error overflows is none: the model has diverged, if not to the last digit
    lost = ~np.isfinite(risks) | np.isinf(errors)
    risks = np.where(lost, np.nan, risks)
    finite, target = risks[~lost], float(prediction["target"]) / unit
    some, known = len(finite) > 0, abs(target) > rounding
    mean, standard_error = (
        np.asarray(v) for v in training.across_seeds(finite[:, None] if some else np.zeros((1, 1)))
    )
    return {
        "run": case["run"],
        "model": case["model"]["name"],
        "point": {axis: _plain(value) for axis, value in point.items()},
        "risk": float(mean[0]) if some else None,
        "standard_error": float(standard_error[0]) if len(finite) > 1 else None,
        "evaluation_error": float(np.nanmean(errors[~lost])) if some else None,
        "risks": plain(risks),
        "evaluation_errors": plain(np.where(lost, np.nan, errors)),
        "diverged": int(len(risks) - len(finite)),
        "target": target,
        "excess": float(mean[0] / target - 1.0) if some and known else None,
        "best_excess": float(finite.min() / target - 1.0) if some and known else None,
        "lines": {name: float(value) / unit for name, value in prediction.get("lines", {}).items()},
    }


def _plain(value: Any) -> Any:
    """Arrays of a sweep are named by their size; numbers stay."""
    return value if isinstance(value, int | float | str) else f"{np.size(value)} numbers"


def _preconditioners(trained: training.Trained) -> np.ndarray | None:
    """The merged weights of all models, where the model has them."""
    if not hasattr(type(trained.model()), "preconditioner"):
        return None
    preconditioners: np.ndarray | None = trained.each(lambda model: model.preconditioner)
    return preconditioners
