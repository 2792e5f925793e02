"""The modes of a ridge problem, and the error curve and decay that follow from them."""

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table


def problem(n, d, tasks=None, seed=0):
    rng = np.random.default_rng(seed)
    lead = () if tasks is None else (tasks,)
    return rng.normal(size=(*lead, n, d)), rng.normal(size=(*lead, n)), rng.normal(size=(*lead, d))


@pytest.mark.parametrize("n, d, lam", [(1, 1, 0.0), (3, 5, 0.5), (20, 4, 0.0), (20, 4, 3.0)])
@pytest.mark.parametrize("start", [True, False])
def test_the_error_curve_of_the_modes_is_that_of_gradient_descent(n, d, lam, start):
    X, y, w = problem(n, d)
    w = w if start else np.zeros(d)
    values, modes = theory.ridge_modes(X, y, lam, w if start else None)
    A = X.T @ X + lam * np.eye(d)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(A), rtol=1e-10, atol=1e-13)
    solution, eta = np.linalg.solve(A, X.T @ y), 1.0 / values[-1]
    distances = []
    for _ in range(30):
        distances.append(np.linalg.norm(w - solution))
        w = w - eta * (A @ w - X.T @ y)
    found = theory.error_curve(values, modes, eta, np.arange(30))
    measured = np.array(distances) / distances[0]
    np.testing.assert_allclose(found, measured, rtol=1e-8, atol=1e-13)  # rounding of 30 steps


def test_a_batch_of_problems_is_each_of_them():
    X, y, w = problem(7, 3, tasks=4)
    values, modes = theory.ridge_modes(X, y, 0.3, w)
    for task in range(4):
        own_values, own_modes = theory.ridge_modes(X[task], y[task], 0.3, w[task])
        np.testing.assert_allclose(values[task], own_values, rtol=1e-13)
        np.testing.assert_allclose(np.abs(modes[task]), np.abs(own_modes), rtol=1e-9)


def test_tasks_that_share_eigenvalues_have_their_curves_at_once():
    starts = np.random.default_rng(0).normal(size=(2, 5, 3))
    steps, eigenvalues = np.array([0, 1, 7]), np.array([1.0, 2.0, 9.0])
    found = theory.error_curve(eigenvalues, starts, 0.2, steps)
    assert found.shape == (2, 5, 3)
    one = theory.error_curve(eigenvalues, starts[1, 3], 0.2, steps)
    np.testing.assert_allclose(found[1, 3], one, rtol=1e-14)


@pytest.mark.parametrize("kappa", [1.5, 10.0, 372.0])
def test_the_decay_of_the_curve_tends_to_the_decay_rate(kappa):
    eigenvalues = np.array([1.0, 0.6 + 0.4 * kappa, kappa])
    steps = np.array([0, 1]) + int(30 * kappa)
    curve = theory.error_curve(eigenvalues, np.ones(3), theory.best_step_size(1.0, kappa), steps)
    assert np.log(curve[0] / curve[1]) == pytest.approx(theory.decay_rate(kappa), rel=1e-9)
    assert np.exp(-theory.decay_rate(kappa)) == pytest.approx(theory.contraction(kappa), rel=1e-14)


def test_the_decay_rate_is_infinite_where_one_step_is_exact():
    assert theory.decay_rate(1.0) == np.inf
    with pytest.raises(ValueError, match="decay_rate: condition_number must be at least 1"):
        theory.decay_rate(0.9)
    with pytest.raises(ValueError, match="steps_to_reach: condition_number must be at least 1"):
        theory.steps_to_reach(1e-8, 0.5)


@table(
    "call, message",
    [
        (lambda X, y: theory.ridge_modes(X, y[:-1], 1.0), "'rows of X' and 'y'"),
        (lambda X, y: theory.ridge_modes(X, y, -1.0), "lam must be at least 0"),
        (lambda X, y: theory.ridge_modes(X[:2], y[:2], 0.0), "must be invertible"),
        (lambda X, y: theory.ridge_modes(X[:, [0, 1, 1]], y, 0.0), "leaving out covariates"),
        (lambda X, y: theory.error_curve(y[:3], y[:2], 0.1, [0]), r"shape \(\.\.\., d=3\), got"),
        (
            lambda X, y: theory.error_curve(y[:2], np.zeros((4, 2)), 0.1, [0]),
            "must not be the solution",
        ),
    ],
)
def test_bad_problems_are_refused(call, message):
    X, y, _ = problem(6, 3)
    with pytest.raises(ValueError, match=message):
        call(X, y)
