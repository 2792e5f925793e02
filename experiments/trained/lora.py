"""Low-rank corrections of frozen weights against their optimum."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, theory, training
from experiments.harness.experiment import Case, Place
from experiments.trained import low_rank, predictions

_BASE = "base"  # the run whose weights the corrections start from
_IDEAL = "from the optimal base"


def given(config: ConfigDict, case: Case, place: Place) -> Mapping[str, Any]:
    """The weights of the best trained model of the run `base`, which a correction starts from."""
    if case["run"] == _BASE:
        return {}
    base = training.load(place.folder, _BASE)
    return {"base_weight": np.asarray(base.model.preconditioner, np.float64)}


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """The best correction of the very weights that were given, and of an optimal base."""
    if not run.given:
        return predictions.of(task, point, run)
    setting, rank = predictions.setting_of(task), point["rank"]
    base = predictions.setting_of(tasks.build(run.config.runs[_BASE].task.to_dict()))
    ideal = theory.pgd_optimum(base).weight
    weight, risk = theory.lora_optimum(run.given["base_weight"], setting, rank=rank)
    from_ideal = theory.lora_optimum(ideal, setting, rank=rank).risk
    return {"target": risk, "preconditioner": weight, "lines": {_IDEAL: from_ideal}}


SPEC = dataclasses.replace(
    low_rank.SPEC,
    x_label="rank r of the correction of frozen weights",
    lines=(_IDEAL,),
    predict=predict,
    given=given,
)
EXPERIMENT = SPEC.experiment()
