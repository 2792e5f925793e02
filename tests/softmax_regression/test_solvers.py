"""Planted solutions are found again; every method stops for the reason it gives."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from elsa.softmax_regression import Problem, descent, newton, solvers
from tests.helpers import wide
from tests.softmax_regression.cases import KINDS, MATRIX, A, B, planted

PLANTED = [(50, 5, seed) for seed in range(20)] + [(200, 16, seed) for seed in range(20)]
METHODS = ("newton-cg", "lbfgs", "gd")


def error(found, x, problem):
    """Distance of the parameters modulo the null directions of the normalized loss, relative."""
    normalized = dataclasses.replace(problem, kind="normalized")
    return np.linalg.norm(normalized.identifiable_part(found.x - x)) / np.linalg.norm(x)


def noisy(seed, kind="normalized", factor=1.0):
    """Labels out of reach, so that the loss stays above 0; data times the factor."""
    problem, _ = planted(20, 3, seed)
    b = problem.b + 0.05 * np.random.default_rng(0).normal(size=20)
    return Problem.single(factor * problem.a2, b, kind)


def planted_matrix():
    rng = np.random.default_rng(3)
    a1, a2 = rng.normal(size=(50, 5)), rng.normal(size=(50, 5))
    x = rng.normal(size=(5, 5)) / 5  # logits of variance 1
    return Problem.planted(x, a1, a2), x


@pytest.mark.parametrize(
    "n, d, seed",
    wide([*PLANTED, (2048, 64, 0)], keep=[c for c in PLANTED if c[2] < 5]),
)
def test_newton_recovers_planted_solutions(n, d, seed):
    problem, x = planted(n, d, seed)
    found = problem.solve()
    assert float(problem.loss(found.x)) <= 1e-16
    assert found.loss <= 1e-16 and found.history.stopped == "gradient"
    assert error(found, x, problem) <= 1e-6
    assert found.iterations <= 30


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_the_matrix_form_recovers_planted_solutions_and_starts_where_it_is_told(method):
    problem, x = planted_matrix()
    found = problem.solve(method)
    assert float(problem.loss(found.x)) <= 1e-16 and error(found, x, problem) <= 1e-6
    found = problem.solve(method, init=x)
    assert found.iterations == 0
    np.testing.assert_array_equal(found.x, x)


def test_the_rescaled_loss_has_the_same_solutions():
    problem, x = planted(50, 5, seed=0, kind="rescaled")
    found = problem.solve()
    assert float(dataclasses.replace(problem, kind="normalized").loss(found.x)) <= 1e-16
    assert error(found, x, problem) <= 1e-6


@pytest.mark.parametrize(
    "method, kind",
    [("newton-cg", "normalized"), ("lbfgs", "rescaled"), ("gd", "rescaled")],
)
def test_history_and_solution_are_those_of_the_loss(method, kind):
    problem = noisy(1, kind)
    found = problem.solve(method, max_iterations=7, tolerance=1e-14)
    x, loss, norm, iterations, history = found
    assert iterations == 7 and history.stopped == "limit"
    assert history.loss.shape == history.gradient_norm.shape == (8,)
    assert history.loss[0] == pytest.approx(float(problem.loss(np.zeros(3))), rel=1e-12)
    assert loss == history.loss[-1] == pytest.approx(float(problem.loss(x)), rel=1e-12)
    slope = np.linalg.norm(problem.gradient(x))
    assert norm == history.gradient_norm[-1] == pytest.approx(slope, rel=1e-9)
    assert (np.diff(history.loss) <= 0).all()  # Newton repeats itself where a step is refused


def test_gradient_descent_takes_steps_of_one_over_the_constant():
    problem, _ = planted(20, 3, seed=1)
    path = problem.gradient_path(np.zeros(3), step_size=1 / problem.lipschitz(sharp=True), steps=2)
    found = problem.solve("gd", max_iterations=2)
    np.testing.assert_allclose(found.x, path[2], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_descent_decreases_as_its_constant_promises(kind):
    """L(x - g / K) <= L(x) - |g|^2 / (2 K), K the normalized loss's one constant."""
    made, _ = planted(20, 3, seed=2)
    problem = Problem.single(3 * made.a2, made.b, kind)
    found = problem.solve("gd", max_iterations=300)
    loss, norm = found.history.loss, found.history.gradient_norm
    assert (np.diff(loss) < 0).all()
    if kind == "normalized":
        promised = norm[:-1] ** 2 / (2 * problem.lipschitz(sharp=True))
        assert (loss[:-1] - loss[1:] >= promised * (1 - 1e-9)).all()
    smallest = np.minimum.accumulate(norm)
    assert smallest[-1] < norm[0] / 2


@pytest.mark.parametrize("method", METHODS)
def test_a_solution_is_a_start_that_is_kept(method):
    problem, x = planted(20, 3, seed=1, kind="rescaled")
    found = problem.solve(method, init=x, max_iterations=7)
    assert found.iterations == 0 and found.history.stopped == "gradient"
    np.testing.assert_array_equal(found.x, x)


def test_newton_survives_steps_that_overflow():
    made, _ = planted(20, 3, seed=4)
    problem = Problem.single(made.a2 * 40, made.b, "rescaled")
    found = problem.solve(init=np.full(3, 0.9))  # logits beyond 100
    assert np.isfinite(found.history.loss).all() and found.loss <= found.history.loss[0]


def test_rounding_stops_newton_when_the_tolerance_asks_for_too_much():
    with pytest.warns(UserWarning, match="times what was asked for") as warned:
        found = noisy(1).solve(tolerance=1e-30)
    assert warned[0].filename == __file__
    assert found.history.stopped in ("stuck", "limit")
    assert found.gradient_norm <= 1e-14


def test_newton_works_in_float32():
    problem, x = jax.tree.map(np.float32, planted(20, 3, seed=1))
    found = problem.solve()
    assert found.x.dtype == np.float32
    assert found.loss <= 1e-8 and error(found, x, problem) <= 1e-2


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])  # gd goes on to its limit
def test_a_solver_that_rounding_stops_names_the_ways_out_and_they_are_ways_out(method):
    problem = jax.tree.map(np.float32, noisy(1, factor=3.0))
    with pytest.warns(UserWarning, match="solve: the solver stopped, 'stuck'.* float32") as warned:
        found = problem.solve(method, tolerance=1e-12)
    assert warned[0].filename == __file__ and found.history.advice in str(warned[0].message)
    assert "data in float64 go further, after jax.config.update" in found.history.advice
    tolerance = float(re.search(r"tolerance=(\S+) takes", found.history.advice)[1])
    assert 1e-12 < tolerance < 1e-4  # of float32, not of the data
    again = problem.solve(method, tolerance=tolerance)
    assert again.history.stopped == "gradient" and again.history.advice == ""
    wide = jax.tree.map(np.float64, problem).solve(method, tolerance=1e-12, max_iterations=10_000)
    assert wide.history.stopped == "gradient"


def test_a_limit_that_was_asked_for_is_no_warning_and_the_usual_one_is(monkeypatch):
    problem = noisy(1)
    found = problem.solve("gd", max_iterations=5)
    assert "solve(init=solution.x) goes on" in found.history.advice
    assert "method='newton-cg'" in found.history.advice
    assert "method=" not in problem.solve(max_iterations=1).history.advice
    monkeypatch.setitem(solvers._SOLVERS, "gd", (descent.gradient_descent, 5))
    with pytest.warns(UserWarning, match="the solver stopped, 'limit', after 5 steps"):
        problem.solve("gd")


def test_the_module_says_why_this_newton():
    assert "negative curvature" in newton.__doc__


def test_bad_input_is_refused():
    single = Problem.single(A, B)
    for message, call in {
        "solve: method must be one of": lambda: single.solve("adam"),
        "tolerance must be finite and above": lambda: single.solve(tolerance=0.0),
        "max_iterations must be at least": lambda: single.solve(max_iterations=0),
        r"solve: init must have shape \(d=2\)": lambda: single.solve(init=np.ones(3)),
        "solve: the rescaled loss overflows float64": lambda: Problem.single(
            A * 500, B, "rescaled"
        ).solve(init=np.ones(2)),
        r"solve: init must have shape \(d1=2, d2=2\)": lambda: Problem(**MATRIX).solve(
            init=np.ones((2, 3))
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="solve: a must be an array with values, got a tracer"):
        jax.jit(lambda problem: problem.solve().x)(single)
