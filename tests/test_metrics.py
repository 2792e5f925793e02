"""Distances, rounding floor, and the decay fitted between the transient and that floor."""

import jax
import numpy as np
import pytest

from elsa import metrics, theory
from tests.helpers import table


def curve(eigenvalues, start, steps=400):
    eigenvalues = np.asarray(eigenvalues, dtype=float)
    eta = theory.best_step_size(eigenvalues.min(), eigenvalues.max())
    kappa = eigenvalues.max() / eigenvalues.min()
    exact = theory.error_curve(eigenvalues, np.asarray(start, float), eta, np.arange(steps + 1))
    return exact, theory.decay_rate(kappa)


def test_relative_distance_is_the_ratio_of_norms():
    assert metrics.relative_distance(np.array([3.0, 4.0]), np.array([0.0, 2.0])) == pytest.approx(
        np.hypot(3, 2) / 2, rel=1e-15
    )
    assert metrics.relative_distance(np.ones(3), np.ones(3)) == 0


def test_relative_distance_runs_under_jit_vmap_and_grad_in_the_wider_dtype():
    path = np.linspace(0, 1, 6).reshape(3, 2).astype(np.float32)
    goal = np.array([1.0, 1.0 + 1e-12])
    found = jax.jit(jax.vmap(metrics.relative_distance, in_axes=(0, None)))(path, goal)
    expected = np.linalg.norm(path.astype(np.float64) - goal, axis=1) / np.linalg.norm(goal)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert found.dtype == np.float64
    slope = jax.grad(lambda w: metrics.relative_distance(w, goal))(np.array([3.0, 1.0]))
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize(
    "estimate, reference, message",
    [
        (np.ones(3), np.ones(2), r"reference must have shape \(d=3\)"),
        (np.ones(2), np.zeros(2), "reference must not be zero"),
    ],
)
def test_relative_distance_refuses(estimate, reference, message):
    with pytest.raises(ValueError, match=message):
        metrics.relative_distance(estimate, reference)


@pytest.mark.parametrize("dtype, eps", [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_rounding_floor_is_epsilon_times_condition_number(dtype, eps):
    assert metrics.rounding_floor(dtype, 100.0) == 100 * eps
    with pytest.raises(ValueError, match="condition_number must be at least 1"):
        metrics.rounding_floor(dtype, 0.5)


@pytest.mark.parametrize("kappa", [10, 100])
def test_the_fit_finds_the_decay_behind_a_transient_and_before_a_floor(kappa):
    exact, decay = curve(np.geomspace(1.0, kappa, 5), [0.01, 3, 3, 3, 0], steps=25 * kappa)
    floor = 1e-12
    errors = np.hypot(exact, floor * np.abs(np.random.default_rng(0).normal(size=exact.shape)))
    first, stop = metrics.fit_window(errors, exact, decay=decay, floor=floor)
    assert 0 < first < stop < len(errors)
    assert errors[stop] < 10 * floor <= errors[stop - 1]
    local = -np.diff(np.log(exact))
    assert abs(local[first] / decay - 1) <= 1e-3 < abs(local[first - 1] / decay - 1)
    assert metrics.fitted_decay(errors, first, stop) == pytest.approx(decay, rel=2e-3)
    assert abs(metrics.fitted_decay(errors, 0, len(errors)) / decay - 1) > 0.01


def test_a_pure_exponential_is_fitted_exactly_for_every_task_of_a_batch():
    rates = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    errors = 5.0 * np.exp(-rates[..., None] * np.arange(40))
    first, stop = np.array([[0, 1, 2], [3, 4, 5]]), np.full((2, 3), 30)
    np.testing.assert_allclose(metrics.fitted_decay(errors, first, stop), rates, rtol=1e-13)


def test_fewer_than_ten_steps_are_not_fitted():
    errors = 0.5 ** np.arange(30.0)
    found = metrics.fitted_decay(np.stack([errors, errors]), np.array([3, 3]), np.array([12, 13]))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(np.log(2), rel=1e-14)


def test_a_transient_that_has_not_ended_leaves_no_window():
    exact, decay = curve([1.0, 50.0, 100.0], [1e-30, 1.0, 0.0], steps=12)
    first, stop = metrics.fit_window(exact + 1e-14, exact, decay=decay, floor=1e-16)
    assert first == len(exact)
    assert np.isnan(metrics.fitted_decay(exact + 1e-14, first, stop))


def test_an_error_that_reaches_exactly_zero_ends_the_window():
    exact, decay = curve([1.0, 2.0], [1.0, 1.0], steps=60)
    errors = np.where(np.arange(61) < 20, exact, 0.0)
    first, stop = metrics.fit_window(errors, exact, decay=decay, floor=1e-16)
    assert (first, stop) == (0, 20)
    assert metrics.fitted_decay(errors, first, stop) == pytest.approx(decay, rel=1e-12)


@table(
    "call, message",
    [
        (lambda e: metrics.fit_window(e, e[1:], decay=1.0, floor=1.0), "must have the same shape"),
        (lambda e: metrics.fit_window(e, e, decay=np.inf, floor=1.0), "decay must be finite"),
        (lambda e: metrics.fit_window(e, e, decay=1.0, floor=0.0), "floor must be finite and"),
        (lambda e: metrics.fitted_decay(e, np.zeros(2), 3), "'errors' and 'first'"),
        (lambda e: metrics.fitted_decay(e, 0, np.zeros(2)), "'errors' and 'stop'"),
        (lambda e: metrics.fitted_decay(e - e[-1], 0, len(e)), "errors must be above 0"),
    ],
)
def test_the_fit_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(0.5 ** np.arange(20.0))


@pytest.mark.parametrize("last", [0, 1, 2, 115, 4284, 11513])
def test_log_spaced_holds_both_ends_what_is_asked_for_and_no_more_than_it_may(last):
    found = metrics.log_spaced(last, 200, also=(10, 100, 1000))
    assert found[0] == 0 and found[-1] == last and len(found) <= 200
    assert np.all(np.diff(found) > 0) and found.dtype.kind == "i"
    assert {n for n in (10, 100, 1000) if n <= last} <= set(found.tolist())
    if last > 200:
        ratios = found[20:][1:] / found[20:][:-1]
        assert ratios.max() < 1.2  # no gap that a figure would show


def test_log_spaced_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="points must be at least 4"):
        metrics.log_spaced(100, 3, also=(10, 20))
    with pytest.raises(TypeError, match="last must be an integer"):
        metrics.log_spaced(1.5, 10)
