"""What theory says of stacks with and without biases, and of those told the rows' roles."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, theory
from experiments.trained import predictions

ELSA, LSA = "ELSA, 1 head", "LSA, 1 head"
HEADS, ROLES = "LSA, d + 1 heads", "LSA, 1 head, role channels"
LABELS = (ELSA, LSA, HEADS, ROLES)
FLOOR, BAYES = "floor of LSA at any depth", "Bayes"


def label_of(model: Mapping[str, Any]) -> str:
    """What a run's model is in the comparison: LSA that is told roles is ELSA in another form."""
    if model["name"] == "elsa":
        return ELSA
    if model.get("layout") == "stacked_roles":
        return ROLES
    return LSA if model.get("num_heads", 1) == 1 else HEADS


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """The optimum of one layer of the run's class; of deeper stacks the floor below them all.

    LSA that is told roles has the optimum of ELSA: the two are the same functions.
    """
    label, depth = label_of(run.model), run.model.get("depth", 1)
    setting = predictions.setting_of(task)
    if isinstance(task, tasks.AffineRegression):
        if depth > 1:
            found = affine_lines(task, run.config)
            return {"target": found[FLOOR if label in (LSA, HEADS) else BAYES], "lines": found}
        sizes = {"intercept_var": float(np.asarray(task.intercept_var))}
        one_layer = theory.affine_lsa_optimum(setting, **sizes).risk
        if label in (ELSA, ROLES):
            one_layer = theory.affine_elsa_optimum(setting, **sizes).risk
        return {"target": one_layer}
    if label == LSA and run.model.get("masked", False):
        return {"target": theory.linear_attention_optimum(setting).risk}
    if label in (LSA, HEADS):
        masked = run.model.get("masked", False)
        return {"target": theory.multi_head_optimum(setting, masked=masked).risk}
    return {"target": theory.gd_beta_optimum(setting).risk}


def affine_lines(task: tasks.AffineRegression, config: ConfigDict) -> dict[str, float]:
    """What bounds the risk of stacks of any depth: LSA's floor, and Bayes."""
    setting, sizes = (
        predictions.setting_of(task),
        {"intercept_var": float(np.asarray(task.intercept_var))},
    )
    key = jax.random.key(config.seed)
    bayes = theory.affine_bayes_risk(setting, key, config.bayes_samples, **sizes)
    return {FLOOR: theory.affine_floor(setting, **sizes), BAYES: bayes.mean}
