"""The population gradient flow of GD-beta."""

import dataclasses

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from elsa import theory
from tests.helpers import table, wide
from tests.theory import helpers

# (n, d, noise_var)
SETTINGS = [(1, 1, 0.0), (3, 4, 0.3), (9, 2, 0.5)]


def draw(n, d, noise_var):
    rng = np.random.default_rng(3)
    centred = helpers.random_setting(rng, n, d, noise_var, floor=0.3, task_floor=0.3)
    start = 2.0 * rng.normal(size=d), rng.normal(size=(d, d))
    return start, dataclasses.replace(centred, task_mean=rng.normal(size=d))


@pytest.mark.parametrize("n, d, noise_var", wide(SETTINGS, keep=[(1, 1, 0.0), (3, 4, 0.3)]))
def test_it_follows_minus_the_gradient(n, d, noise_var):
    start, setting = draw(n, d, noise_var)
    times = np.array([0.0, 0.1, 0.5, 1.0])

    def velocity(_, state):
        found = theory.gd_beta_gradient(state[:d], state[d:].reshape(d, d), setting)
        return -np.concatenate([part.ravel() for part in found])

    state = np.concatenate([start[0], start[1].ravel()])
    span = (0.0, times[-1])
    options = {"method": "DOP853", "t_eval": times, "rtol": 1e-11, "atol": 1e-13}
    expected = scipy.integrate.solve_ivp(velocity, span, state, **options).y.T
    flow = theory.gd_beta_flow(*start, setting, times)
    # Another integrator on the gradients as they stand: the tolerance of both, times the stretching
    # of errors on the way down, is below 1e-7.
    np.testing.assert_allclose(flow.inits, expected[:, :d], rtol=1e-7, atol=1e-7)
    found = flow.preconditioners.reshape(len(times), -1)
    np.testing.assert_allclose(found, expected[:, d:], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_distance_and_excess_are_those_of_the_optimum(sizes):
    start, setting = draw(*sizes)
    init, gamma, risk = theory.gd_beta_optimum(setting)
    flow = theory.gd_beta_flow(*start, setting, [0.0, 0.5, 2.0])
    for index in range(3):
        point = flow.inits[index], flow.preconditioners[index]
        excess = theory.gd_beta_risk(*point, setting) - risk
        assert flow.excess_risks[index] == pytest.approx(excess, rel=1e-9, abs=1e-12)
        parts = [np.linalg.norm(point[0] - init), np.linalg.norm(point[1] - gamma)]
        assert flow.distances[index] == pytest.approx(np.hypot(*parts), rel=1e-9)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_it_falls_to_the_minimum_at_the_rate_of_the_hessian(sizes):
    start, setting = draw(*sizes)
    slowest, _ = theory.gd_beta_rates(setting)
    times = np.linspace(0.0, 18.0 / slowest, 40)
    flow = theory.gd_beta_flow(*start, setting, times)
    assert np.all(np.diff(flow.excess_risks) <= 0.0)
    assert flow.excess_risks[-1] <= 1e-8 and flow.distances[-1] <= 1e-6 * flow.distances[0]
    late = slice(-10, None)
    slope = np.polyfit(times[late], np.log(flow.distances[late]), 1)[0]
    assert -slope == pytest.approx(slowest, rel=0.05)


def test_at_the_optimum_it_stays_and_a_far_mean_is_no_obstacle():
    _, setting = draw(3, 4, 0.3)
    init, gamma, _ = theory.gd_beta_optimum(setting)
    flow = theory.gd_beta_flow(init, gamma, setting, [1.0, 5.0])
    np.testing.assert_array_equal(flow.distances, 0.0)
    far = dataclasses.replace(setting, task_mean=100.0 * setting.task_mean)
    slowest, _ = theory.gd_beta_rates(far)
    flow = theory.gd_beta_flow(np.zeros(4), 1e-3 * np.eye(4), far, [40.0 / slowest])
    assert flow.excess_risks[-1] <= 1e-8
    np.testing.assert_allclose(flow.inits[-1], far.task_mean, rtol=1e-6)


def test_a_column_is_a_start_too():
    start, setting = draw(9, 2, 0.5)
    column = theory.gd_beta_flow(start[0][:, None], start[1], setting, [1.0])
    plain = theory.gd_beta_flow(*start, setting, [1.0])
    np.testing.assert_array_equal(column.inits, plain.inits)


@table("times", [[], [1.0, 1.0], [-1.0, 0.0], [[0.0, 1.0]], 1.0])
def test_times_must_rise_from_zero(times):
    start, setting = draw(1, 1, 0.0)
    with pytest.raises(ValueError, match="gd_beta_flow: times must rise from 0 or above"):
        theory.gd_beta_flow(*start, setting, times)


def test_it_refuses_what_the_risk_refuses():
    start, setting = draw(9, 2, 0.5)
    with pytest.raises(ValueError, match="gd_beta_flow: init must have shape"):
        theory.gd_beta_flow(np.ones(3), start[1], setting, [1.0])
    with pytest.raises(ValueError, match="gd_beta_flow: preconditioner must have shape"):
        theory.gd_beta_flow(start[0], np.eye(3), setting, [1.0])
    with pytest.raises(ValueError, match="times must be finite"):
        theory.gd_beta_flow(*start, setting, [0.0, np.inf])


def test_an_integrator_that_gives_up_is_an_error(monkeypatch):
    start, setting = draw(1, 1, 0.0)
    given_up = scipy.optimize.OptimizeResult(success=False, message="step size became too small")
    monkeypatch.setattr(scipy.integrate, "solve_ivp", lambda *_, **__: given_up)
    with pytest.raises(ArithmeticError, match="the integrator stopped: step size became"):
        theory.gd_beta_flow(*start, setting, [1.0])


def test_at_time_zero_the_flow_is_its_start():
    start = np.array([1.0, 1.0]), np.eye(2)
    flow = theory.gd_beta_flow(*start, helpers.isotropic(2, 5, 0.1), [0.0])
    np.testing.assert_allclose(flow.inits, start[0][None], rtol=1e-15)
    np.testing.assert_allclose(flow.preconditioners, start[1][None], rtol=1e-15, atol=1e-15)
    assert flow.distances.shape == flow.excess_risks.shape == (1,)
