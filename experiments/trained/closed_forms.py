"""Risks that theory knows of a task, as lines of a figure."""

import functools
from typing import Any

import jax

from elsa import tasks, theory
from experiments.trained import predictions

ONE_STEP, BAYES = "one step of descent, preconditioned", "Bayes"
_BAYES_SAMPLES = 20_000  # contexts; an error of about 0.3 %


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
