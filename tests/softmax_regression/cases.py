"""Problems that the tests of softmax regression share."""

import jax
import numpy as np

from elsa.softmax_regression import Problem

# n, d: one row, one channel, fewer rows than channels, tall. A fixed set, because jax compiles each
# shape anew.
SINGLE_SIZES = [(1, 1), (1, 4), (6, 1), (3, 5), (12, 3)]
# n1, d1, n2, d2, with an edge in each place but the last, where the single form has it
MATRIX_SIZES = [(1, 3, 4, 2), (4, 1, 1, 3), (2, 4, 3, 5), (7, 3, 6, 2)]
SIZES = [*SINGLE_SIZES, *MATRIX_SIZES]
KINDS = ("normalized", "rescaled")
# of weights, and how many of them
METHODS = {"loss": 1, "log_loss": 1, "gradient": 1, "hvp": 2, "dense_hessian": 1}

# The examples of the formula sheet.
A = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
X, B, V = np.array([0.5, -0.25]), np.array([0.2, 0.3, 0.5]), np.array([1.0, 2.0])
MATRIX = {
    "a1": np.array([[1.0, 0.0], [0.5, -1.0]]),
    "a2": np.array([[1.0, 1.0], [0.0, 1.0], [-1.0, 0.5]]),
    "b": np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]),
}
MATRIX_X = np.array([[0.3, -0.2], [0.1, 0.4]])
MATRIX_V = np.array([[1.0, 0.0], [2.0, -1.0]])


def drawn(sizes, kind="normalized", *, logits=1.0, seed=0):
    """x, v and a problem with the largest logit of size `logits`; b is no probability vector.

    sizes: n, d of a single problem, or n1, d1, n2, d2.
    """
    rng = np.random.default_rng([seed, *sizes])
    *queries, n, d = sizes
    weights, labels = (*queries[1:], d), (*queries[:1], n)
    data = [tuple(queries), (n, d)] if queries else [(n, d)]
    x, v, *data, b = (rng.normal(size=shape) for shape in (weights, weights, *data, labels))
    problem = Problem(*data, b, kind) if queries else Problem.single(*data, b, kind)
    return x * logits / np.abs(logits_of(x, problem)).max(), v, problem


def logits_of(x, problem):
    """A1 X A2^T, or A x."""
    left = x if problem.a1 is None else problem.a1 @ x
    return left @ problem.a2.T


def norm_of(problem):
    """||A1|| ||A2||, by which logits move at most a unit of the weights."""
    factors = (problem.a2,) if problem.a1 is None else (problem.a1, problem.a2)
    return np.prod([np.linalg.norm(factor, 2) for factor in factors])


def planted(n, d, seed, kind="normalized"):
    """Gaussian data with logits of variance 1: a single problem, and the x that explains it."""
    rng = np.random.default_rng([seed, n, d])
    a, x = rng.normal(size=(n, d)), rng.normal(size=d) / d**0.5
    return Problem.planted(x, a, kind=kind), x


def along(function, x, v):
    """The derivative of a function at x along v, by jax."""
    return jax.jvp(function, (x,), (v,))[1]
