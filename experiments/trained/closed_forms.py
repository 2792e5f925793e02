"""What models are set beside that were built or trained on a task: ridge, and closed forms."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

from elsa import tasks, theory
from experiments.trained import predictions, ridge_distance

RIDGE, ONE_STEP, BAYES = "ridge", "one step of descent, preconditioned", "Bayes"
_BAYES_SAMPLES = 20_000  # contexts; an error of about 0.3 %


def beside_ridge(
    task: Any, point: Mapping[str, Any], run: predictions.Run
) -> predictions.Prediction:
    """Ridge's own risk on this task, and what is known in closed form."""
    config = run.config
    risk, _ = ridge_distance.risk_of_ridge(
        task,
        config.seed,
        config.eval_prompts,
        config.prompt.lam,
        optimise=config.train.optimise,
    )
    return {"target": risk, "name": RIDGE, "lines": {RIDGE: risk, **closed_forms(task)}}


@functools.singledispatch
def closed_forms(task: Any) -> dict[str, float]:
    """Name -> risk: none of a task that has no entry here."""
    return {}


@closed_forms.register
def _(task: tasks.LinearRegression) -> dict[str, float]:
    if task.covariates != "normal":
        return {}
    setting = predictions.setting_of(task)
    bayes = theory.bayes_risk(setting, jax.random.key(0), _BAYES_SAMPLES)
    return {ONE_STEP: theory.pgd_optimum(setting).risk, BAYES: bayes.mean}


@closed_forms.register
def _(task: tasks.Retrieval) -> dict[str, float]:
    return {ONE_STEP: theory.retrieval_optimum(**predictions.aligned(task))[1]}


@closed_forms.register
def _(task: tasks.Alignment) -> dict[str, float]:
    return {ONE_STEP: theory.alignment_optimum(**predictions.aligned(task))[1]}
