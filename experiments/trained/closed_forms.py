"""What models are set beside that were built or trained on a task: ridge, and closed forms."""

import functools
import types
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from elsa import tasks, theory
from experiments.trained import predictions, ridge_distance
from experiments.trained.by_value import ByValue

RIDGE, ONE_STEP, BAYES = "ridge", "one step of descent, preconditioned", "Bayes"
_BAYES_SAMPLES = 20_000  # contexts; an error of about 0.3 %


def beside_ridge(
    task: Any, point: Mapping[str, Any], run: predictions.Run
) -> predictions.Prediction:
    """Ridge's own risk on this task, and what is known in closed form."""
    lines = risks(task, run.config)
    return {"target": lines[RIDGE], "name": RIDGE, "lines": lines}


def risks(task: Any, config: ConfigDict) -> Mapping[str, float]:
    """Ridge's own risk on this task, sampled, and what is known in closed form."""
    asked = config.seed, config.eval_prompts, config.prompt.lam, config.train.optimise
    return _risks(ByValue(task), *asked)


@functools.lru_cache(maxsize=32)  # the points of a sweep mostly share a task
def _risks(
    asked: ByValue, seed: int, num_prompts: int, lam: float, optimise: bool
) -> Mapping[str, float]:
    ridge, _ = ridge_distance.risk_of_ridge(asked.task, seed, num_prompts, lam, optimise=optimise)
    return types.MappingProxyType({RIDGE: ridge, **closed_forms(asked.task)})


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
