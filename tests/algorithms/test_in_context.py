"""Predictors without a weight vector against weight-space recursions and singular values."""

import numpy as np
import pytest

from elsa.algorithms import gd_plus_plus, preconditioned_gradient_descent
from tests.helpers import table


def problem(n, d, k, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X / np.linalg.norm(X, 2), rng.normal(size=(n, 1)), rng.normal(size=(k, d))


@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (3, 5, 2), (12, 4, 3)])
def test_preconditioned_descent_predicts_what_its_weights_predict(n, d, k):
    X, y, query_x = problem(n, d, k)
    P = np.random.default_rng(1).normal(size=(d, d)) / d
    step = preconditioned_gradient_descent(P)
    labels, prediction, w = y, np.zeros((k, 1)), np.zeros((d, 1))
    for index in range(4):
        out = step(X=X, y=labels, query_x=query_x, prediction=prediction)
        labels, prediction = out["y"], out["prediction"]
        w = w + P @ X.T @ (y - X @ w)
        np.testing.assert_allclose(prediction, query_x @ w, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(labels, y - X @ w, rtol=1e-11, atol=1e-13)
        if index == 0:
            np.testing.assert_allclose(prediction, query_x @ P @ X.T @ y, rtol=1e-12)
    contraction = np.linalg.matrix_power(np.eye(n) - X @ P @ X.T, 4)
    np.testing.assert_allclose(labels, contraction @ y, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (3, 5, 2), (12, 4, 3)])
def test_gd_plus_plus_moves_every_singular_value_on_its_own(n, d, k):
    X, y, query_x = problem(n, d, k)
    eta, gamma, rank = 0.7, 0.4, min(n, d)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    label, query, predicted = U.T @ y, query_x @ Vt.T, np.zeros((k, 1))
    state = {"X": X, "y": y, "query_x": query_x, "prediction": np.zeros((k, 1))}
    step = gd_plus_plus(step_size=eta, curvature=gamma)
    across = y - U @ label  # what X cannot explain stays
    for _ in range(5):
        state = {name: np.asarray(value) for name, value in step(**state).items()}
        predicted = predicted + eta * query @ (s[:, None] * label)
        label = (1 - eta * s[:, None] ** 2) * label
        query, s = query * (1 - gamma * s**2), s * (1 - gamma * s**2)
    found = np.sort(np.linalg.svd(state["X"], compute_uv=False))
    np.testing.assert_allclose(found, np.sort(s), rtol=1e-12)
    np.testing.assert_allclose(state["y"], across + U @ label, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(state["prediction"], predicted, rtol=1e-11, atol=1e-13)
    outside = query_x - query_x @ Vt.T @ Vt
    np.testing.assert_allclose(state["query_x"], outside + query @ Vt, rtol=1e-11, atol=1e-12)
    assert len(s) == rank


def test_gd_plus_plus_lowers_the_condition_number():
    X = np.diag([1.0, 0.5, 0.2])
    state = {"X": X, "y": X[:, :1], "query_x": X[:1], "prediction": np.zeros((1, 1))}
    after = gd_plus_plus(step_size=0.5, curvature=0.3)(**state)["X"]
    assert np.linalg.cond(after) < np.linalg.cond(X)


def test_gd_plus_plus_without_curvature_is_gradient_descent():
    X, y, query_x = problem(6, 3, 2)
    blocks = {"X": X, "y": y, "query_x": query_x, "prediction": np.zeros((2, 1))}
    plain = preconditioned_gradient_descent(0.3 * np.eye(3))(**blocks)
    out = gd_plus_plus(step_size=0.3, curvature=0.0)(**blocks)
    np.testing.assert_array_equal(out["X"], X)
    np.testing.assert_array_equal(out["query_x"], query_x)
    np.testing.assert_allclose(out["prediction"], plain["prediction"], rtol=1e-13)
    np.testing.assert_allclose(out["y"], plain["y"], rtol=1e-13)


@table(
    "make, message",
    [
        (lambda: preconditioned_gradient_descent(np.ones((2, 3))), r"shape \(d, d\), got \(2, 3\)"),
        (lambda: preconditioned_gradient_descent(np.ones(2)), "must have 2 axes"),
        (lambda: preconditioned_gradient_descent(np.full((2, 2), np.nan)), "must be finite"),
        (lambda: gd_plus_plus(step_size=0.0, curvature=0.1), "gd_plus_plus: step_size"),
        (lambda: gd_plus_plus(step_size=1.0, curvature=-0.1), "gd_plus_plus: curvature"),
        (lambda: gd_plus_plus(step_size=1.0, curvature=np.inf), "gd_plus_plus: curvature"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
