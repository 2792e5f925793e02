"""Prompts and reference loops shared by the tests of the trained models."""

import functools

import jax
import numpy as np
from flax import nnx

from elsa.tasks import Prompt

# (batch, context rows, dimension): one row of one dimension, and fewer rows than dimensions
SIZES = [(2, 1, 1), (3, 2, 4)]
RTOL = 1e-12  # sums of at most some hundred products of numbers of order 1


def prompt_of(size, seed=0):
    """Normal numbers; the query's label is NaN, so that whatever it reached would show."""
    batch, n, d = size
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(batch, n, d)), rng.normal(size=(batch, n)), rng.normal(size=(batch, d))
    return Prompt(*map(jax.numpy.asarray, parts), jax.numpy.full((batch,), np.nan))


def filled(model, seed=1):
    """The model with normal numbers for all its parameters."""
    rng = np.random.default_rng(seed)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    drawn = jax.tree.map(lambda leaf: jax.numpy.asarray(rng.normal(size=leaf.shape)), params)
    return nnx.merge(graph, drawn, rest)


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def _predict(graph, state, prompt):
    return nnx.merge(graph, state)(prompt)


def predict(model, prompt):
    """The predictions as one program, which compiles faster than its operations one by one."""
    return np.asarray(_predict(*nnx.split(model), prompt))


def plain(prompt):
    """x, y, query_x in NumPy."""
    return tuple(np.asarray(part) for part in prompt[:3])


def steps(prompt, weight, sample_weights=None):
    """<query_x, W sum_i omega_i y_i x_i>, row by row."""
    x, y, query = plain(prompt)
    omega = np.ones(x.shape[1]) if sample_weights is None else sample_weights
    found = np.zeros(len(x))
    for b in range(len(x)):
        moment = np.zeros(x.shape[2])
        for i in range(x.shape[1]):
            moment += omega[i] * y[b, i] * x[b, i]
        found[b] = query[b] @ weight @ moment
    return found


def odd_part(model, prompt):
    """(f(X, y) - f(X, -y)) / 2."""
    return (predict(model, prompt) - predict(model, prompt._replace(y=-prompt.y))) / 2


def permuted(prompt):
    """The same contexts with their rows in the opposite order."""
    return prompt._replace(x=prompt.x[:, ::-1], y=prompt.y[:, ::-1])


def assert_close(found, expected, rtol=RTOL):
    scale = max(np.abs(expected).max(), 1e-300)
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)
