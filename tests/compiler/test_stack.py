"""Compiled stacks: what runs, whatever the schedule leaves out."""

import jax
import numpy as np
import pytest

import elsa
from elsa import algorithms


def test_an_untied_step_without_layers_of_its_own_has_weights():
    """The numbers of t differ, but all that is returned follows from inputs that never change."""

    def step(B, C, E, t):
        return {"B": C, "E": (1.0 + t) * E}

    def idle(B, C, t):
        return {"B": C + 0.0 * t}

    for function, shapes in (
        (step, {"B": (2, 3), "C": (2, 3), "E": (1,)}),
        (idle, {"B": (2, 3), "C": (2, 3)}),
    ):
        stack = elsa.compile(function, shapes, 3, tied=False, execution="dense")
        assert stack.verify(jax.random.key(0)) <= 1e-14
        assert len(stack.weights) >= 1


def test_newton_schulz_reaches_ten_digits_in_24_layers_where_one_eigenvalue_is_small():
    """Condition number 1e4, and labels that hardly touch the small eigenvalue's direction."""
    d, n = 50, 60
    rng = np.random.default_rng(0)
    eigenvalues = np.array([1e-3, *np.full(d - 1, 10.0)])
    lam = 0.5 * eigenvalues[0]
    left = np.linalg.qr(rng.normal(size=(n, d)))[0]
    right = np.linalg.qr(rng.normal(size=(d, d)))[0]
    X, y = left * np.sqrt(eigenvalues - lam) @ right.T, rng.normal(size=(n, 1))
    solution = right @ ((right.T @ (X.T @ y)) / eigenvalues[:, None])
    A = X.T @ X + lam * np.eye(d)
    blocks = {"X": X, "y": y, "lam": np.array([[lam]]), "w": np.zeros((d, 1))}
    blocks["Z"] = np.eye(d) / np.abs(A).sum(axis=0).max()
    shapes = {name: block.shape for name, block in blocks.items()}
    stack = elsa.compile(algorithms.newton_schulz_ridge(), shapes, 22)
    assert stack.num_layers <= 24
    error = np.linalg.norm(stack(**blocks)["w"] - solution) / np.linalg.norm(solution)
    # Rounding in (Z A) Z reaches w by about the condition number: 1e4 times 1e-16, and d.
    assert error <= 1e-10


def branching(X, w):
    if w[0, 0] > 0:
        return {"w": w}
    return {"w": X.T @ (X @ w)}


def narrow(X, w):
    return {"w": (X.T @ (X @ w)).T}


@pytest.mark.parametrize(
    "step, match",
    [
        (branching, r"asks for the value of a block \(test_stack.py, line \d+: `if w\[0, 0\] > 0"),
        (narrow, r"in its own shape \(4, 1\), got \(1, 4\) \(narrow, test_stack.py, line \d+\)"),
    ],
)
def test_an_error_is_one_line_and_says_where(step, match):
    with pytest.raises(elsa.CompileError, match=match) as caught:
        elsa.compile(step, {"X": (6, 4), "w": (4, 1)}, 2)
    assert "\n" not in str(caught.value)
