"""Stacks that start from weights written by hand, exact or with noise, and are trained on."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import readback, theory, training
from elsa.base import checks
from experiments.harness.experiment import Case, Place, Record
from experiments.trained import from_construction_report, measure, predictions
from experiments.trained.spec import TrainedSpec


def check(config: ConfigDict) -> None:
    """Refuses runs that do not start from the construction, and lengths that are none."""
    measure.check(config)
    checks.integer("from_construction", bayes_samples=(config.bayes_samples, 2))
    for length in config.lengths:
        checks.integer("from_construction", lengths=(length, 1))
    for name, run in config.runs.items():
        where = f"runs.{name}"
        checks.one_of(where, "model", run.model.name, ("elsa",))
        checks.one_of(where, "layout", run.model.get("layout", ""), ("natural",))
        checks.one_of(where, "init", run.model.get("init", ""), ("construction",))
        if set(run.sweep) != {"noise"}:
            raise ValueError(f"{where}: sweep must be over noise, got {sorted(run.sweep)}")


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """The Bayes risk at the length that is trained on, below every stack."""
    return {"target": _bayes(task, run.config)}


def _bayes(task: Any, config: ConfigDict) -> float:
    setting, key = predictions.setting_of(task), jax.random.key(config.seed)
    return theory.bayes_risk(setting, key, config.bayes_samples).mean


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each noise: before and after, other lengths, how far, and what has changed."""
    trained, records = measure.train(config, case, place, predict)
    start = trained._replace(state=trained.program.init())
    before, _ = start.risk(config.eval_prompts, screen=place.screen, name=f"{case['run']}, start")
    moved = _moved(start, trained)
    matrices = {name: _matrices(each) for name, each in (("before", start), ("after", trained))}
    lengths = _other_lengths(config, case, place, trained)
    diverged = np.asarray(trained.state.diverged)
    for index, record in enumerate(records):
        own_task = trained.task(index)
        record |= {
            "label": from_construction_report.label_of(case["model"]),
            "noise": float(record["point"]["noise"]),
            "step_size": case["model"]["step_size"],
            "start_risks": _finite(before[:, index]),
            "moved": _finite(np.where(diverged[:, index], np.nan, moved[:, index])),
            "covariance": np.diag(predictions.setting_of(own_task).cov_x).tolist(),
            "matrices": {
                name: [_finite(row) for row in each[:, index].reshape(len(each), -1)]
                for name, each in matrices.items()
            },
            "lengths": {str(n): _finite(risks[:, index]) for n, risks in lengths.items()},
            "context_length": own_task.context_length,
            "bayes": {
                str(n): _bayes(dataclasses.replace(own_task, context_length=n), config)
                for n in (own_task.context_length, *lengths)
            },
        }
    return records


def _moved(start: training.Trained, trained: training.Trained) -> np.ndarray:
    """|W - W_0| over all weights and biases, [seeds, points]."""
    pairs = zip(
        *(jax.tree.leaves(each.program.weights(each.state)) for each in (start, trained)),
        strict=True,
    )
    squares = [
        np.square(np.asarray(old, np.float64) - np.asarray(new, np.float64)).reshape(
            *trained.state.active.shape, -1
        )
        for old, new in pairs
    ]
    distances: np.ndarray = np.sqrt(np.concatenate(squares, axis=-1).sum(axis=-1))
    return distances


def _matrices(trained: training.Trained) -> np.ndarray:
    """Every step's matrix, [seeds, points, steps, d, d]."""
    found: np.ndarray = trained.each(readback.step_matrices)
    return found


def _other_lengths(
    config: ConfigDict, case: Case, place: Place, trained: training.Trained
) -> dict[int, np.ndarray]:
    """Risk on contexts of other lengths, [seeds, points]; none where positions fix the length."""
    if case["model"].get("biases") == "position" or not trained.step:
        return {}
    return {
        n: trained.evaluate(
            config.eval_prompts, context_length=n, screen=place.screen, name=case["run"]
        ).mean
        for n in config.lengths
    }


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.7g}") if np.isfinite(v) else None for v in values]


SPEC = TrainedSpec(
    title="risk of stacks that start from weights written by hand",
    x="noise",
    x_label="standard deviation of the noise on every weight",
    hue="label",
    predict=predict,
    figures=from_construction_report.figures,
)
EXPERIMENT = dataclasses.replace(
    SPEC.experiment(),
    measure=measured,
    check=check,
    tables=from_construction_report.tables,
)
