"""Trained models on other prompts than they were trained on, beside ridge regression there."""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, training
from experiments.harness.experiment import Place
from experiments.trained import ridge_distance

DEPTH = "depth"  # the one change that is the model's and not the task's


def evaluated(
    config: ConfigDict, trained: training.Trained, place: Place
) -> list[list[dict[str, Any]]]:
    """For every point of a run, one entry for each value that the config's `evaluate` asks for.

    An entry holds the name and the value of what is changed; of the squared errors the mean, its
    standard error, the median and the mean without the worst thousandth, over the seeds; and ridge
    regression's risk on the same law.
    """
    points: list[list[dict[str, Any]]] = [[] for _ in trained.program.sweep.names]
    for name, values in config.evaluate.items():
        for value in values:
            found = trained.evaluate(config.eval_prompts, screen=place.screen, **{name: value})
            for index, entries in enumerate(points):
                law = trained.task(index)
                law = law if name == DEPTH else tasks.shifted(law, **{name: value})
                risk, _ = ridge_distance.risk_of_ridge(
                    law, config.seed, config.eval_prompts, config.prompt.lam
                )
                own = {
                    field: _over_seeds(part[:, index]) for field, part in found._asdict().items()
                }
                entries.append({"changed": name, "value": value, "ridge": risk, **own})
    return points


def _over_seeds(values: np.ndarray) -> float | None:
    """The mean over the seeds that came to their end; None where none did."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
