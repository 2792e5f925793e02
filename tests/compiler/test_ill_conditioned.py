"""Ill-conditioned ridge regression: ten digits, in as many layers as theory says."""

import numpy as np
import pytest

import elsa
from elsa import algorithms
from tests.compiler.helpers import by_hand, shapes_of
from tests.helpers import wide


def ill_conditioned(d, seed=0, kappa=1e4):
    """X^T X + lam I with eigenvalues from 1 / kappa to 1, and the solution."""
    rng, lam = np.random.default_rng(seed), 0.5 / kappa
    U, V = (np.linalg.qr(rng.normal(size=(size, d)))[0] for size in (d + 30, d))
    X = U * np.sqrt(np.geomspace(1.0 / kappa, 1.0, d) - lam) @ V.T
    y, A = rng.normal(size=(d + 30, 1)), X.T @ X + lam * np.eye(d)
    np.testing.assert_allclose(np.linalg.cond(A), kappa, rtol=1e-8)
    blocks = {"X": X, "y": y, "lam": np.full((1, 1), lam), "w": np.zeros((d, 1))}
    return blocks, A, np.linalg.solve(A, X.T @ y)


def distance(out, solution):
    return np.linalg.norm(np.asarray(out["w"]) - solution) / np.linalg.norm(solution)


@pytest.mark.parametrize("d", [2, 10, 50])
def test_newton_schulz_solves_ridge_at_condition_number_1e4_in_24_layers(d):
    blocks, A, solution = ill_conditioned(d)
    blocks["Z"] = np.eye(d) / np.abs(A).sum(axis=0).max()
    stack = elsa.compile(algorithms.newton_schulz_ridge(), shapes_of(blocks), 21)
    assert stack.num_layers <= 24
    assert distance(stack(**blocks), solution) <= 1e-10
    assert distance(by_hand(stack, blocks), solution) <= 1e-10


# 1186 steps are planned one by one, as each has numbers of its own
@pytest.mark.parametrize(
    "kappa, d, depth",
    wide([(1e2, 10, 119), (1e4, 10, 1186), (1e4, 50, 1186)], keep=[(1e2, 10, 119)]),
)
def test_chebyshev_solves_ridge_in_sqrt_kappa_layers_for_each_factor_of_e_squared(kappa, d, depth):
    """From 2 the error falls by exp(-2 / sqrt(kappa)) a step: to 1e-10 after 11.86 sqrt(kappa)."""
    assert depth == np.ceil(kappa**0.5 * 11.86)
    blocks, _, solution = ill_conditioned(d, kappa=kappa)
    blocks["p"] = np.zeros((d, 1))
    step = algorithms.chebyshev(smallest=1 / kappa, largest=1.0)
    stack = elsa.compile(step, shapes_of(blocks), depth, tied=False)
    assert stack.num_layers <= depth + 14
    assert distance(stack(**blocks), solution) <= 1e-10


def test_gradient_descent_needs_more_than_100000_layers_for_the_same():
    """Contraction (kappa - 1)/(kappa + 1) a step at the best step size: checked on 1000 steps."""
    blocks, A, solution = ill_conditioned(2)
    step = algorithms.gradient_descent(2 / (1 + 1e-4))
    blocks["w"] = solution + np.linalg.eigh(A)[1][:, :1] * np.linalg.norm(solution)
    stack = elsa.compile(step, shapes_of(blocks), 1000)
    rate = (1e4 - 1) / (1e4 + 1)
    np.testing.assert_allclose(distance(stack(**blocks), solution), rate**1000, rtol=1e-8)
    assert np.log(1e-10) / np.log(rate) > 100_000
