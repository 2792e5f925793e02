"""What a record says of its models that diverged: which, in which step, at which rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import training
from elsa.training import diverged
from experiments.harness.diverged import LOST
from experiments.harness.experiment import Record

_RATE = "learning_rate"


def of_points(
    config: ConfigDict, case: Mapping[str, Any], trained: training.Trained, risks: np.ndarray
) -> list[Record]:
    """Fields for the record of each point, none where all of its seeds came to their end.

    Args:
      config, case: of the run.
      trained: its models.
      risks: [seeds, points], not finite where a model diverged; one that training did not notice,
        because only the evaluation's numbers are too large, has no step.
    """
    steps = {(model.seed, model.point): model.step for model in diverged.found(trained.state)}
    fields: list[Record] = []
    for index, point in enumerate(trained.program.sweep.names):
        seeds = [
            {"seed": int(seed), "step": steps.get((int(seed), index))}
            for seed in np.flatnonzero(~np.isfinite(risks[:, index]))
        ]
        key, rate = _rate(config, case, point)
        fields.append({LOST: {"seeds": seeds, "key": key, "rate": rate}} if seeds else {})
    return fields


def _rate(
    config: ConfigDict, case: Mapping[str, Any], point: Mapping[str, Any]
) -> tuple[str, float]:
    """The key that sets a point's learning rate, and its value."""
    run = f"config.runs.{case['run']}"
    if _RATE in point:  # `train` has its axes from the command line, all others from their runs
        key = f"sweep.train.{_RATE}" if "axes" in config else f"{run}.sweep.{_RATE}"
        return key, float(point[_RATE])
    if _RATE in case.get("train", {}):
        return f"{run}.train.{_RATE}", float(case["train"][_RATE])
    return f"config.train.{_RATE}", float(config.train[_RATE])
