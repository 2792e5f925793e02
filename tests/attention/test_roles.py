"""ELSA is LSA on a prompt that carries the roles of its rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import attention
from elsa.heads.head import HeadWeights
from tests.helpers import attention_reference, relative_error, table


def weights(rng, m, p, roles, lead=()):
    shapes = {"wq": (m, p), "wk": (m, p), "wv": (m, m)}
    shapes |= {"bq": (roles, p), "bk": (roles, p), "bv": (roles, m)}
    return {name: rng.normal(size=(*lead, *shape)) for name, shape in shapes.items()}


def indicator(rng, n, roles):
    return np.eye(roles)[rng.integers(roles, size=n)]


def largest(found, expected):
    return np.abs(np.asarray(found) - expected).max() / max(np.abs(expected).max(), 1.0)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.data())
def test_its_first_channels_are_elsa_and_the_roles_stay(n, m, p, roles, data):
    """With biases by role, and with a row for each position, in NumPy as in jax."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    by_position = data.draw(st.booleans())
    R = np.eye(n) if by_position else indicator(rng, n, roles)
    h, w = rng.normal(size=(n, m)), weights(rng, m, p, R.shape[1])
    shared = {name: R @ w[name] for name in ("bq", "bk", "bv")}
    expected = attention_reference(h, HeadWeights(**(w | shared)))
    wq, wk, wv = (np.asarray(a) for a in attention.without_biases(**w))
    wide = np.asarray(attention.with_roles(h, R))
    found = attention_reference(wide, HeadWeights(wq, wk, wv, *np.zeros((3, 1, 1))))
    assert largest(found[:, :m], expected) < 1e-12
    assert not found[:, m:].any()
    np.testing.assert_array_equal(wide[:, m:], R)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_functions_of_one_prompt_agree(dtype, tolerance):
    for n, m, p in [(1, 1, 1), (5, 3, 2)]:
        rng = np.random.default_rng(n)
        w = {name: a.astype(dtype) for name, a in weights(rng, m, p, n).items()}
        h = rng.normal(size=(n, m)).astype(dtype)
        wide = attention.with_roles(h, np.eye(n, dtype=dtype))
        found = attention.lsa(wide, *attention.without_biases(**w))
        assert found.dtype == dtype
        assert relative_error(found[:, :m], attention.elsa(h, **w)) < tolerance


def test_heads_along_leading_axes_are_turned_at_once():
    rng = np.random.default_rng(1)
    w = weights(rng, 3, 2, 4, lead=(5, 2))
    wq, wk, wv = attention.without_biases(**w)
    assert (wq.shape, wk.shape, wv.shape) == ((5, 2, 7, 2), (5, 2, 7, 2), (5, 2, 7, 7))
    one = attention.without_biases(**{name: array[3, 1] for name, array in w.items()})
    for all_heads, alone in zip((wq, wk, wv), one, strict=True):
        np.testing.assert_array_equal(all_heads[3, 1], alone)
    wide = attention.with_roles(jnp.zeros((6, 4, 3)), np.eye(4))
    np.testing.assert_array_equal(wide[5, :, 3:], np.eye(4))


GOOD = weights(np.random.default_rng(0), 3, 2, 4)


@table(
    "change, message",
    [
        ({"wk": np.ones((3, 4))}, r"wk must have shape \(m=3, p=2\)"),
        ({"bv": np.ones((5, 3))}, r"bv must have shape \(r=4, m=3\)"),
        ({"bq": np.ones((7, 4, 2))}, r"bq must have the leading axes \(\) of wq, got \(7,\)"),
    ],
)
def test_weights_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=f"without_biases: {message}"):
        attention.without_biases(**(GOOD | change))


def test_roles_that_do_not_fit():
    with pytest.raises(ValueError, match=r"with_roles: roles must have shape \(n=3, r\)"):
        attention.with_roles(np.ones((3, 2)), np.eye(2))
