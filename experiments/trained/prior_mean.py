"""Blocks and attention alone, trained on tasks with a prior mean: what both experiments measure.

A record is a point of a run of `measure` with, beside its risks, the risk along training, the
share of seeds that reach the prediction and of those that stall where theory has the stationary
point of rank one, and, of a block, the gradient step that it has become.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import readback, theory, training
from elsa.base import checks
from elsa.models import LinearTransformerBlock
from experiments.harness.experiment import Case, Record
from experiments.trained import measure, predictions

BLOCK, ATTENTION, BAYES, RANK_ONE = "GD-beta", "best attention", "Bayes", "rank one"
SIGNAL = "b* alone"  # the prediction <b*, x>, which looks at no context
_REACHED = 0.02  # above the prediction, as a share of it
_STALLED = 0.05  # away from the risk of rank one, as a share of it


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """What the model must reach, and every other line: all models' optima, Bayes, rank one."""
    risks = lines(task, run.config)
    block = run.model["name"] == "linear_transformer_block"
    return {"target": risks[BLOCK if block else ATTENTION], "lines": risks}


def lines(task: Any, config: ConfigDict) -> dict[str, float]:
    """The risks of all that a model may be compared with."""
    setting = predictions.setting_of(task)
    about_mean, key = setting.centred(), jax.random.key(config.seed)
    return {
        BLOCK: theory.gd_beta_optimum(setting).risk,
        ATTENTION: theory.linear_attention_optimum(setting).risk,
        BAYES: theory.bayes_risk(setting, key, config.bayes_samples).mean,
        SIGNAL: theory.pgd_optimum(about_mean, rank=0).risk,
        RANK_ONE: theory.pgd_optimum(about_mean, rank=1).risk,
    }


def check(config: ConfigDict) -> None:
    """Refuses a config whose runs cannot be built or have nothing to be compared with."""
    checks.integer("prior_mean", bayes_samples=(config.bayes_samples, 2))
    for name, run in config.runs.items():
        checks.one_of(
            f"runs.{name}",
            "model",
            run.model.name,
            ("linear_attention", "linear_transformer_block"),
        )
    measure.check(config)


def more(case: Case, trained: training.Trained, records: list[Record]) -> list[Record]:
    """What these experiments say of a point besides its risks."""
    made: list[Record] = []
    for index, record in enumerate(records):
        task = trained.task(index)
        made.append(
            {
                "mean_norm": float(np.linalg.norm(predictions.setting_of(task).task_mean)),
                "context_length": task.context_length,
                "shares": shares(record),
            }
        )
    if isinstance(trained.model(), LinearTransformerBlock):
        for index, blocks in enumerate(_read_back(trained)):
            if records[index]["risk"] is None:
                continue
            made[index]["read_back"] = _beside_optimum(records[index], trained, blocks, index)
    return made


def shares(record: Mapping[str, Any]) -> dict[str, float]:
    """Shares of the seeds by where they ended: at the prediction, at rank one, elsewhere."""
    risks = np.array([np.nan if r is None else r for r in record["risks"]], np.float64)
    reached = risks <= (1.0 + _REACHED) * record["target"]
    rank_one = record["lines"][RANK_ONE]
    stalled = ~reached & (np.abs(risks / rank_one - 1.0) <= _STALLED)
    return {
        "reached": float(reached.mean()),
        "stalled": float(stalled.mean()),
        "elsewhere": float((~reached & ~stalled).mean()),
    }


def _read_back(models: training.Trained) -> list[readback.GdBeta]:
    """Start, preconditioner and residual of every block, for each point over the seeds."""
    read = models.each(readback.read_gd_beta)
    points = range(read.residual.shape[1])
    return [readback.GdBeta(*(part[:, index] for part in read)) for index in points]


def _beside_optimum(
    record: Mapping[str, Any], models: training.Trained, found: readback.GdBeta, index: int
) -> dict[str, Any]:
    """What the best seed's block has become, beside the optimum."""
    task = models.task(index)
    best_init, best, _ = theory.gd_beta_optimum(predictions.setting_of(task))
    risks = np.array([np.inf if r is None else r for r in record["risks"]])
    seed = int(np.argmin(risks))
    init, residual = np.asarray(found.init)[seed], float(np.asarray(found.residual)[seed])
    # the blocks of a sweep share one scale, that of its longest context
    unscaled = np.asarray(found.preconditioner)[seed]
    gamma = unscaled * task.context_length * models.model().scale
    norm = np.linalg.norm(best_init)
    return {
        "seed": seed,
        "init": _numbers(init),
        "best_init": _numbers(best_init),
        "preconditioner": [_numbers(row) for row in gamma],
        "best_preconditioner": [_numbers(row) for row in best],
        "init_distance": float(np.linalg.norm(init - best_init) / (norm or 1.0)),
        "preconditioner_distance": float(np.linalg.norm(gamma - best) / np.linalg.norm(best)),
        "residual": residual / float(np.linalg.norm(unscaled)),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.7g}") if np.isfinite(v) else None for v in values]
