"""Linear transformers of several layers against descent of several steps and the Bayes risk."""

from collections.abc import Mapping
from typing import Any

import jax

from elsa import theory
from experiments.harness.experiment import Case, Record
from experiments.trained.predictions import Prediction, Run, setting_of
from experiments.trained.spec import TrainedSpec

DESCENT, _POLYNOMIAL, BAYES = "one step a layer", "best polynomial", "Bayes"
_LARGEST_POLYNOMIAL = 13  # coefficients; with 40 the risk is Bayes' to four digits


def predict(task: Any, point: Mapping[str, Any], run: Run) -> Prediction:
    """Bounds on the risk of a stack, isotropic covariates and tasks.

    As many steps of gradient descent with the best step sizes as layers are one such stack, so that
    training must get below. A stack's prediction is <x, p(X^T X) X^T y> for rotation-invariant
    weights, and each layer at most triples the degree of the label's polynomial: p has at most
    (3^depth - 1)/2 coefficients, and the best such p is the target.
    """
    setting, depth = setting_of(task), run.model["depth"]
    sizes: dict[str, Any] = {
        "dim": setting.dim,
        "context_length": setting.context_length,
        "noise_var": setting.noise_var,
    }
    coefficients = min((3**depth - 1) // 2, _LARGEST_POLYNOMIAL)
    polynomial = theory.multi_step_optimum(**sizes, steps=coefficients).risk
    key = jax.random.key(run.config.seed)
    bayes = theory.bayes_risk(theory.Setting(**sizes), key, run.config.bayes_samples)
    descent = theory.multi_step_optimum(**sizes, steps=depth).risk
    lines = {DESCENT: descent, _POLYNOMIAL: polynomial, BAYES: bayes.mean}
    return {"target": polynomial, "lines": lines}


def layers(case: Case, trained: Any, records: list[Record]) -> list[Record]:
    """The number of layers as part of the point."""
    depth = case["model"]["depth"]
    return [{"point": {**record["point"], "depth": depth}} for record in records]


SPEC = TrainedSpec(
    title="risk of trained linear transformers against the best polynomial of their depth",
    x="depth",
    x_label="layers",
    lines=(DESCENT, BAYES),
    labels={BAYES: "Bayes risk"},
    theory=_POLYNOMIAL,
    best=True,
    log=True,
    predict=predict,
    more=layers,
)
EXPERIMENT = SPEC.experiment()
