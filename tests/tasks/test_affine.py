"""Moments of affine regression prompts against their formulas."""

import dataclasses

import jax
import numpy as np
import pytest

from elsa import tasks
from tests.tasks.helpers import COV_TASK, COV_X, SMALL, assert_mean, sample

TASK = SMALL["affine"]  # noise 0.5, intercepts of variance 2


def test_labels_share_an_intercept_beside_the_linear_part():
    """E[y] = 0, E[y^2] = tr(H Psi) + sc2 + s2, E[y y'] = sc2 for two rows, E[x y] = 0, and the
    intercept is independent of w: E[x y y' x'^T] = H Psi H."""
    prompt = jax.tree.map(np.asarray, sample(TASK, jax.random.key(0)))
    for x, y in ((prompt.x[:, 0], prompt.y[:, 0]), (prompt.query_x, prompt.query_y)):
        assert_mean(y, 0.0)
        assert_mean(x * y[:, None], np.zeros(2))
        assert_mean(y**2, np.trace(COV_X @ COV_TASK) + 2.5)
    assert_mean(prompt.y[:, 0] * prompt.query_y, 2.0)
    first, other = (
        x * y[:, None]
        for x, y in ((prompt.x[:, 1], prompt.y[:, 1]), (prompt.query_x, prompt.query_y))
    )
    assert_mean(np.einsum("bi,bj->bij", first, other), COV_X @ COV_TASK @ COV_X)


def test_without_noise_every_label_is_affine_in_the_covariates():
    task = dataclasses.replace(TASK, noise_var=0.0)
    prompt = jax.tree.map(np.asarray, task.sample(jax.random.key(1), 3))
    for x, y, query, label in zip(*prompt, strict=True):
        rows = np.column_stack([x, np.ones(len(x))])
        found, *_ = np.linalg.lstsq(rows, y)
        np.testing.assert_allclose(np.append(query, 1.0) @ found, label, atol=1e-12)


def test_without_an_intercept_it_is_linear_regression():
    """The same w, covariates and noise, from the first half of the key."""
    task, key = dataclasses.replace(TASK, intercept_var=0.0), jax.random.key(2)
    linear = tasks.LinearRegression(2, 5, 0.5, COV_X, COV_TASK)
    jax.tree.map(
        np.testing.assert_array_equal,
        task.sample(key, 3),
        linear.sample(jax.random.split(key)[0], 3),
    )


def test_a_negative_variance_is_refused_by_name():
    with pytest.raises(ValueError, match=r"AffineRegression: intercept_var must be at least 0"):
        tasks.AffineRegression(2, 5, intercept_var=-1.0)
    with pytest.raises(ValueError, match=r"use gram_prompt"):
        TASK.sample_gram(jax.random.key(0), 2)
