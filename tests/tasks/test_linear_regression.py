"""Moments of linear regression prompts, rows and Gram matrices, against their formulas."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import (
    COV_TASK,
    COV_X,
    MEAN,
    SMALL,
    assert_mean,
    gram_of_rows,
    sample,
    sample_gram,
)

ROWS = SMALL["linear_regression"]
change = dataclasses.replace


def drawn(task, seed=0):
    return jax.tree.map(np.asarray, sample(task, jax.random.key(seed)))


@pytest.mark.parametrize("name", ["linear_regression", "sphere", "gamma"])
def test_covariates_are_centred_with_the_covariance_asked_for(name):
    prompt = drawn(SMALL[name])
    for x in (prompt.x[:, 0], prompt.x[:, -1], prompt.query_x):
        assert_mean(x, np.zeros(2))
        assert_mean(np.einsum("bi,bj->bij", x, x), COV_X)
    assert_mean(np.einsum("bi,bj->bij", prompt.x[:, 0], prompt.query_x), np.zeros((2, 2)))
    assert_mean(np.einsum("bi,bj->bij", prompt.x[:, 0], prompt.x[:, 1]), np.zeros((2, 2)))


def test_labels_follow_one_weight_vector_a_prompt_and_every_label_has_noise():
    """E[x y] = H b*, E[y^2] = tr(H S) + s2, E[x y y' x'^T] = H S H with S = E[w w^T]."""
    prompt = drawn(SMALL["linear_regression"])
    second = COV_TASK + np.outer(MEAN, MEAN)
    for x, y in ((prompt.x[:, 0], prompt.y[:, 0]), (prompt.query_x, prompt.query_y)):
        assert_mean(x * y[:, None], COV_X @ MEAN)
        assert_mean(y**2, np.trace(COV_X @ second) + 0.5)
    first = prompt.x[:, 0] * prompt.y[:, :1]
    other = prompt.query_x * prompt.query_y[:, None]
    assert_mean(np.einsum("bi,bj->bij", first, other), COV_X @ second @ COV_X)


def test_the_noise_is_normal_and_independent_between_labels():
    prompt = drawn(change(ROWS, cov_task=np.zeros((2, 2)), task_mean=np.zeros(2)))
    labels = np.concatenate([prompt.y, prompt.query_y[:, None]], axis=1)
    assert_mean(np.einsum("bi,bj->bij", labels, labels), 0.5 * np.eye(6))
    assert_mean(labels**4, np.full(6, 3 * 0.5**2))


def test_without_noise_every_label_is_linear_in_the_covariates():
    prompt = drawn(change(ROWS, noise_var=0.0))
    weight = np.linalg.solve(prompt.x[:50, :2], prompt.y[:50, :2, None])
    np.testing.assert_allclose((prompt.x[:50] @ weight)[..., 0], prompt.y[:50], atol=1e-9)
    np.testing.assert_allclose(
        (prompt.query_x[:50, None] @ weight)[:, 0, 0], prompt.query_y[:50], atol=1e-9
    )


@pytest.mark.parametrize("covariates, third", [("normal", 0.0), ("gamma", 2.0 / 3.0**0.5)])
def test_entries_have_unit_variance_and_the_third_moment_of_their_law(covariates, third):
    task = ROWS if covariates == "normal" else SMALL["gamma"]
    x = drawn(change(task, cov_x=np.eye(2), gamma_shape=3.0)).query_x
    assert_mean(np.einsum("bi,bj->bij", x, x), np.eye(2))
    assert_mean(x**3, np.full(2, third))
    assert_mean(x[:, 0] ** 2 * x[:, 1] ** 2, 1.0)


@pytest.mark.parametrize(
    "task",
    [change(SMALL["sphere"], cov_x=np.eye(2)), tasks.LinearRegression(1, 1, covariates="sphere")],
    ids=["d=2", "d=1"],
)
def test_the_sphere_has_radius_root_d_and_no_preferred_direction(task):
    x, dim = drawn(task).query_x, task.dim
    np.testing.assert_allclose((x**2).sum(axis=1), dim, rtol=1e-12)
    assert_mean(x[:, 0] ** 4, 3.0 * dim / (dim + 2.0))


@pytest.mark.parametrize("form", ["rows", "gram"])
def test_the_risk_of_a_preconditioned_step_is_the_closed_form(form):
    """Setting A of Li, Rawat, Oymak: L(W) = 2.962325 for the example's W, 1.49930013 at W*."""
    task, key = change(ROWS, task_mean=np.zeros(2)), jax.random.key(5)

    prompt = {"gram": sample_gram, "rows": gram_of_rows}[form](task, key)
    best = np.array([[0.0625, -0.00260416667], [-0.00260416667, 0.0712890625]])
    for weight, risk in ((np.array([[0.1, 0.02], [-0.03, 0.2]]), 2.962325), (best, 1.49930013)):
        found = jnp.einsum("bi,ij,bj->b", prompt.query_x, weight, prompt.gram[:, :2, 2])
        assert_mean((prompt.query_y - found) ** 2, risk)


def test_singular_covariances_keep_to_their_range():
    direction = np.array([[1.0, 2.0], [2.0, 4.0]])
    task = change(ROWS, cov_x=direction, cov_task=direction)
    prompt = drawn(task)
    np.testing.assert_allclose(prompt.x[..., 1], 2.0 * prompt.x[..., 0], atol=1e-6)
    gram = sample_gram(task, jax.random.key(0)).gram
    np.testing.assert_allclose(gram[:, 1, :], 2.0 * gram[:, 0, :], atol=1e-5)


@table(
    "changed, error, message",
    [
        ({"dim": 0}, ValueError, "LinearRegression: dim must be at least 1"),
        ({"context_length": 2.0}, TypeError, "context_length must be an integer"),
        ({"noise_var": -1.0}, ValueError, "noise_var must be at least 0"),
        ({"noise_var": np.nan}, ValueError, "noise_var must be finite"),
        ({"noise_var": [0.1]}, ValueError, "noise_var must be a single number"),
        ({"covariates": "cube"}, ValueError, "covariates must be one of"),
        ({"gamma_shape": 0.0}, ValueError, "gamma_shape must be finite and above 0"),
        ({"cov_x": np.eye(3)}, ValueError, r"cov_x must have shape \(2, 2\), got \(3, 3\)"),
        ({"cov_x": np.array([[1, 2], [0, 1]])}, ValueError, "cov_x must be symmetric"),
        ({"cov_task": np.diag([1, -1])}, ValueError, "cov_task must be positive semidefinite"),
        ({"cov_task": np.diag([1, np.inf])}, ValueError, "cov_task must be finite"),
        ({"task_mean": np.ones(3)}, ValueError, r"task_mean must have shape \(2,\)"),
        ({"task_mean": np.array([1, np.nan])}, ValueError, "task_mean must be finite"),
    ],
)
def test_bad_fields_are_refused(changed, error, message):
    with pytest.raises(error, match=message):
        tasks.LinearRegression(**{"dim": 2, "context_length": 3, **changed})


@pytest.mark.parametrize("covariates", ["sphere", "gamma"])
def test_only_normal_covariates_have_a_gram_sampler(covariates):
    task = tasks.LinearRegression(2, 3, covariates=covariates)
    assert not task.has_gram and tasks.LinearRegression(2, 3).has_gram
    with pytest.raises(ValueError, match=f"covariates must be 'normal', got '{covariates}'"):
        task.sample_gram(jax.random.key(0), 2)
