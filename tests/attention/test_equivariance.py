"""Layers without biases commute with every orthogonal map of the rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import attention
from tests.helpers import table


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def stack(rng, m, depth, num_heads):
    """A residual stack of untied layers, scaled so that its prompt stays near 1."""
    w = 0.3 * rng.normal(size=(depth, num_heads, 3, m, m))

    def run(h):
        for layer in w:
            h = h + sum(attention.lsa(h, *head) for head in layer) / h.shape[0]
        return h

    return run


@given(st.sampled_from([(1, 1), (2, 4), (4, 2)]), st.integers(0, 3), st.integers(1, 2))
def test_it_is_rounding_at_any_depth(sizes, depth, num_heads):
    (n, m), rng = sizes, np.random.default_rng(depth)
    run, h = stack(rng, m, depth, num_heads), rng.normal(size=(n, m))
    for rotation in (orthogonal(rng, n), -np.eye(n), np.eye(n)[rng.permutation(n)]):
        assert attention.equivariance_error(run, h, rotation) < 1e-12


def test_a_row_is_odd_in_its_own_sign_and_even_in_those_of_others():
    rng = np.random.default_rng(1)
    run, h = stack(rng, 3, 3, 2), rng.normal(size=(4, 3))
    flipped = h * np.array([1.0, 1.0, -1.0, 1.0])[:, None]
    there, back = np.asarray(run(h)), np.asarray(run(flipped))
    np.testing.assert_allclose(back[2], -there[2], rtol=1e-12)
    np.testing.assert_allclose(back[[0, 1, 3]], there[[0, 1, 3]], rtol=1e-12)


def test_biases_break_it():
    rng = np.random.default_rng(2)
    h, biases = rng.normal(size=(3, 2)), rng.normal(size=(3, 3, 2))
    wq, wk, wv = rng.normal(size=(3, 2, 2))

    def layer(prompt):
        return attention.elsa(prompt, wq, wk, wv, *biases)

    assert attention.equivariance_error(layer, h, -np.eye(3)) > 0.1
    assert attention.equivariance_error(layer, h, np.eye(3)) == 0.0


def test_float32_and_a_function_that_writes_nothing():
    h, turn = np.ones((2, 3), np.float32), orthogonal(np.random.default_rng(0), 2)
    error = attention.equivariance_error(lambda g: g @ (g.T @ g), h, turn)
    assert 0 < error < 1e-5
    assert attention.equivariance_error(jnp.zeros_like, h, turn) == 0.0


@table(
    "change, error, message",
    [
        ({"run": 3}, TypeError, "run must be a function of a prompt"),
        (
            {"run": lambda h: h[:1]},
            ValueError,
            r"run must return the prompt's 2 rows, got \(1, 3\)",
        ),
        ({"run": lambda h: h / 0.0}, ValueError, "the result of run on h must be finite"),
        ({"h": np.ones(3)}, ValueError, "h must have 2 axes"),
        ({"rotation": np.ones((3, 3))}, ValueError, r"rotation must have shape \(n=2, n=2\)"),
        ({"rotation": np.ones((2, 2))}, ValueError, r"rotation must be orthogonal, U U\^T = I"),
    ],
)
def test_bad_arguments(change, error, message):
    good = {"run": lambda h: h, "h": np.ones((2, 3)), "rotation": np.eye(2)}
    with pytest.raises(error, match=f"equivariance_error: {message}"):
        attention.equivariance_error(**(good | change))
