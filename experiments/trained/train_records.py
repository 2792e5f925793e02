"""What a run of `train` measures: risks, distances to ridge after every layer, predictions."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from elsa import predictors, tasks, training
from experiments.harness.experiment import Case, Place, Record
from experiments.trained import (
    architectures,
    measure,
    other_laws,
    plain,
    ridge_distance,
    warm_start,
)
from experiments.trained.closed_forms import beside_ridge

_SHOWN = 300  # prompts of the figure of predictions


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each point: risks, distances after every layer, some predictions."""
    task, lam = tasks.build(case["task"]), config.prompt.lam
    step_size = case["model"].get("step_size") or architectures.step_size(task, lam, config.seed)
    algorithm = plain.beside(case["model"], lam, step_size)
    look = ridge_distance.watch(config.seed, config.watch_prompts, lam, algorithm)
    start = warm_start.start(config) if warm_start.asked(config) else {}
    trained, records = measure.train(
        config, case, place, beside_ridge, watch=look, **start, keep_lost=True
    )
    steps, watched = trained.watched_along_training()
    along = trained.risk_along_training()
    elsewhere = other_laws.evaluated(config, trained, place)
    layers = sum(name.startswith(f"{ridge_distance.RIDGE}/") for name in watched) - 1
    prefix = f"{ridge_distance.PLAIN}/"
    step_layers = sorted(int(n.removeprefix(prefix)) for n in watched if n.startswith(prefix))
    for index, record in enumerate(records):
        own = {name: values[:, :, index] for name, values in watched.items()}
        alone = np.array([own.pop(f"{prefix}{layer}")[-1, 0] for layer in step_layers])
        record |= {
            "depth": layers,
            "step_size": step_size,
            "watched_steps": steps.tolist(),
            "watched": {name: _finite(values) for name, values in own.items()},
            "algorithm": algorithm.label,
            "step_layers": step_layers,
            "algorithm_to_ridge": _finite(alone),
            "along_training": {
                "steps": along[0].tolist(),
                "losses": _finite(along[1][:, :, index]),
            },
            "shown": _shown(config, trained, index),
            "elsewhere": elsewhere[index],
        }
    return records


def _shown(
    config: ConfigDict, trained: training.Trained, point: int
) -> dict[str, list[float | None]]:
    """Predictions of the first seed that did not diverge, ridge's, and the labels."""
    lost = np.asarray(trained.state.diverged)[:, point]

    def answers(model: Any, task: Any, key: Array) -> dict[str, Array]:
        prompt = ridge_distance.prompts(task, key, _SHOWN, model)
        ridge = predictors.ridge(prompt, config.prompt.lam)
        return {"model": model(prompt), "ridge": ridge, "label": prompt.query_y}

    model, key = trained.model(int(np.argmin(lost)), point), jax.random.key(config.seed)
    parts = trained.program.compiled(answers)(model, trained.task(point), key)
    return {name: _finite(np.asarray(values).round(6)) for name, values in parts.items()}


def _finite(values: np.ndarray) -> list[Any]:
    """Nested lists, None where a number is not finite."""
    if values.ndim == 0:
        return float(values) if np.isfinite(values) else None  # type: ignore[return-value]
    return [_finite(value) for value in values]
