"""What is computed of a task is computed once for all tasks of the same values."""

import dataclasses

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from elsa import tasks
from experiments.trained import closed_forms, ridge_distance
from experiments.trained.by_value import ByValue

TASK = tasks.LinearRegression(2, 4, noise_var=0.25)


def test_tasks_are_equal_where_their_values_are():
    again = tasks.LinearRegression(2, 4, noise_var=0.25)
    assert ByValue(TASK) == ByValue(again) and len({ByValue(TASK), ByValue(again)}) == 1
    others = [
        tasks.LinearRegression(2, 4, noise_var=0.5),
        tasks.LinearRegression(2, 5, noise_var=0.25),
        tasks.LinearRegression(2, 4, noise_var=0.25, cov_x=np.diag([1.0, 2.0])),
        tasks.Retrieval(2, 4, alignment=0.25),
    ]
    assert len({ByValue(other) for other in (TASK, *others)}) == 5
    with jax.enable_x64(not jax.config.jax_enable_x64):
        other = ByValue(TASK)
    assert other != ByValue(TASK)


def test_the_risk_of_ridge_is_sampled_once_for_a_task(monkeypatch):
    drawn = []

    def sample(task, key, batch, lam):
        drawn.append(float(task.noise_var))
        return np.arange(batch, dtype=np.float64)

    monkeypatch.setattr(ridge_distance, "_squares", lambda optimise: sample)
    ridge_distance._risk_of_ridge.cache_clear()
    for noise_var in (0.25, 0.5, 0.25):
        task = dataclasses.replace(TASK, noise_var=noise_var)
        assert ridge_distance.risk_of_ridge(task, 0, 5, 0.1)[0] == pytest.approx(2.0)
    assert drawn == [0.25, 0.5]
    ridge_distance._risk_of_ridge.cache_clear()  # of what was no risk


def test_what_theory_says_of_a_task_is_computed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(ridge_distance, "risk_of_ridge", lambda *_, **__: (2.0, 0.1))
    monkeypatch.setattr(closed_forms, "closed_forms", lambda task: asked.append(task) or {"a": 1.0})
    config = ConfigDict({"seed": 0, "eval_prompts": 5, "prompt": {"lam": 0.1}, "train": {}})
    config.train.optimise = True
    closed_forms._risks.cache_clear()
    for noise_var in (0.25, 0.5, 0.25):
        task = dataclasses.replace(TASK, noise_var=noise_var)
        assert closed_forms.risks(task, config) == {closed_forms.RIDGE: 2.0, "a": 1.0}
    assert [task.noise_var for task in asked] == [0.25, 0.5]
    closed_forms._risks.cache_clear()  # of what was no risk
