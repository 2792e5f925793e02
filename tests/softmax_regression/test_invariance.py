"""Null directions: what a loss does not see, and how the solvers live with it."""

import dataclasses

import jax
import numpy as np
import pytest

from elsa.softmax_regression import Problem
from tests.softmax_regression.cases import KINDS, drawn

rng = np.random.default_rng(5)
TALL = rng.normal(size=(8, 3))  # most are [8, 4], as jax compiles each shape anew
DATA = {
    "general": (np.column_stack([TALL, rng.normal(size=8)]), 0, 0),
    "constant column": (np.column_stack([TALL, np.full(8, 2.0)]), 1, 0),
    "repeated column": (np.column_stack([TALL, TALL[:, 0]]), 1, 1),
    "ones in the span": (np.column_stack([TALL, 1 - TALL[:, 0]]), 1, 0),
    "fewer rows": (rng.normal(size=(3, 5)), 3, 2),
    "one row": (rng.normal(size=(1, 2)), 2, 1),
    "equal rows": (np.ones((8, 4)) * [1.0, 3.0, 0.0, -1.0], 4, 3),
    "zeros": (np.zeros((8, 4)), 4, 4),
}


@pytest.mark.parametrize("name", DATA)
def test_the_loss_is_constant_along_null_directions_and_their_number_is_as_derived(name):
    a, normalized, rescaled = DATA[name]
    x, b = rng.normal(size=a.shape[1]), rng.normal(size=a.shape[0])
    for kind, count in (("normalized", normalized), ("rescaled", rescaled)):
        problem = Problem.single(a, b, kind)
        basis = problem.null_directions()
        assert basis.shape == (a.shape[1], count)
        np.testing.assert_allclose(basis.T @ basis, np.eye(count), atol=1e-14)
        loss = float(problem.loss(x))
        for v in basis.T:
            assert float(problem.loss(x + 3 * v)) == pytest.approx(loss, rel=1e-12)
            slope = problem.gradient(x)
            assert abs(slope @ v) <= 1e-13 * (1 + np.linalg.norm(slope))
        part = problem.identifiable_part(x)
        np.testing.assert_allclose(basis.T @ part, np.zeros(count), atol=1e-14)
        again = problem.identifiable_part(x + basis @ np.ones(count))
        np.testing.assert_allclose(again, part, atol=1e-13)


def test_a_common_logit_multiplies_the_rescaled_loss():
    a, b = DATA["constant column"][0], rng.normal(size=8)
    x, v = rng.normal(size=4), np.array([0.0, 0.0, 0.0, 0.5])  # A v = 1
    before, after = map(float, map(Problem.single(a, b, "rescaled").loss, (x, x + 0.3 * v)))
    assert after == pytest.approx(np.exp(0.6) * before, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(7, 3, 6, 2), (2, 4, 3, 5)], ids=str)
def test_the_matrix_loss_sees_the_identifiable_part_only(sizes, kind):
    x, v, problem = drawn(sizes, kind)
    keys = problem.a2.copy()
    keys[:, -1] = 1.5  # a constant column: one direction more for the normalized loss
    problem = dataclasses.replace(problem, a2=keys)
    part, loss = problem.identifiable_part(x), float(problem.loss(x))
    assert float(problem.loss(part)) == pytest.approx(loss, rel=1e-12)
    assert np.linalg.norm(part) < np.linalg.norm(x) or kind == "rescaled"
    hidden = v - problem.identifiable_part(v)
    assert float(problem.loss(x + hidden)) == pytest.approx(loss, rel=1e-11)
    slope = problem.gradient(x)
    np.testing.assert_allclose(problem.identifiable_part(slope), slope, atol=1e-11)
    basis = problem.null_directions()
    rank = np.linalg.matrix_rank
    seen = rank(problem.a1) * rank(keys - keys.mean(axis=0) if kind == "normalized" else keys)
    assert basis.shape == (*x.shape, x.size - seen)
    flat = basis.reshape(x.size, -1)
    np.testing.assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=1e-14)
    np.testing.assert_allclose(flat @ (flat.T @ v.ravel()), hidden.ravel(), atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["constant column", "repeated column", "fewer rows"])
def test_newton_recovers_what_can_be_recovered_from_singular_data(name, kind):
    a, start = DATA[name][0], rng.normal(size=DATA[name][0].shape[1])
    x = rng.normal(size=a.shape[1]) / 3
    problem = Problem.planted(x, a, kind=kind)
    found = problem.solve(init=start / 3)
    # at loss 0 both losses leave the directions of the normalized one free
    normalized = dataclasses.replace(problem, kind="normalized")
    assert float(normalized.loss(found.x)) <= 1e-16
    assert np.linalg.norm(normalized.identifiable_part(found.x - x)) <= 1e-6
    hidden = problem.null_directions()  # and the start's part there is kept
    np.testing.assert_allclose(hidden.T @ found.x, hidden.T @ start / 3, atol=1e-10)


def test_data_that_say_nothing_are_solved_at_once():
    for name in ("zeros", "equal rows"):
        found = Problem.single(DATA[name][0], np.arange(8.0)).solve()
        assert found.iterations == 0 and found.history.stopped == "gradient"
        np.testing.assert_array_equal(found.x, np.zeros(4))


def test_bad_input_is_refused():
    problem = Problem.single(TALL, np.zeros(8))
    with pytest.raises(TypeError, match=r"null_directions: a must be an array with values"):
        jax.jit(lambda problem: problem.null_directions())(problem)
    with pytest.raises(ValueError, match=r"identifiable_part: x must have shape \(d=3\)"):
        problem.identifiable_part(np.ones(2))
    with pytest.raises(ValueError, match=r"x must have shape \(d1=3, d2=3\)"):
        Problem(TALL, TALL, np.zeros((8, 8))).identifiable_part(np.ones((3, 2)))
    with pytest.raises(TypeError, match="identifiable_part: x must be an array with values"):
        jax.jit(problem.identifiable_part)(np.ones(3))
