"""Every way in which jax calls, repeats or chooses a function inside a step, on the jax installed.

Versions of jax write them down differently; `elsa.base.jax_versions` reads them all.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import elsa
from elsa import constructions, nn
from elsa.heads.head import HeadWeights
from tests.compiler.helpers import assert_agrees

TURN = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 2.0]])


@jax.custom_jvp
def with_derivative(w):
    return TURN @ w


with_derivative.defjvp(lambda primals, tangents: (TURN @ primals[0], 3.0 * tangents[0]))


@jax.custom_vjp
def with_gradient(w):
    return TURN @ w


with_gradient.defvjp(lambda w: (TURN @ w, None), lambda _, cotangent: (3.0 * cotangent,))


def scan_of_all_groups(A, w):
    """Constants, two values carried, rows read and rows collected."""
    carry, seen = lax.scan(
        lambda pair, row: ((A @ pair[1], pair[0] + row[:, None]), 2.0 * row), (w, A @ w), A[:2]
    )
    return carry[0] + carry[1] + seen.T @ np.ones((2, 1))


def turns(A, w):
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, A @ s[1] + s[0] * w), (0, w))[1]


def root(A, w):
    return lax.custom_root(lambda v: 2.0 * v - A @ w, w, lambda *_: A @ w / 2, lambda g, y: y / 2)


CALLS = {
    "jit in jit": lambda A, w: jax.jit(lambda v: jax.jit(jnp.matmul)(A, v) + v)(w),
    "checkpoint": lambda A, w: jax.grad(jax.checkpoint(lambda v: jnp.sum((A @ v) ** 2)))(w),
    "custom_jvp": lambda A, w: with_derivative(A @ w),
    "gradient of custom_jvp": lambda A, w: jax.grad(lambda v: with_derivative(A @ v).sum())(w),
    "custom_vjp": lambda A, w: with_gradient(A @ w),
    "gradient of custom_vjp": lambda A, w: jax.grad(lambda v: with_gradient(A @ v).sum())(w),
    "custom_root": root,
    "scan": scan_of_all_groups,
    "scan of constants": lambda A, w: lax.scan(lambda v, k: (k * (A @ v), k), w, np.arange(3.0))[0],
    "scan backwards": lambda A, w: lax.scan(
        lambda v, row: (A @ v + row[:, None], None), w, A, reverse=True, unroll=2
    )[0],
    "gradient of a scan": lambda A, w: jax.grad(
        lambda v: lax.scan(jax.checkpoint(lambda u, _: (A @ u, None)), v, None, length=2)[0].sum()
    )(w),
    "fori_loop": lambda A, w: lax.fori_loop(0, 3, lambda i, v: A @ v + i * w, w),
    "while_loop": turns,
    "cond": lambda A, w: lax.cond(jnp.asarray(TURN.sum() > 3), lambda v: A @ v, jnp.exp, w),
    "switch": lambda A, w: lax.switch(jnp.arange(3)[1], [jnp.exp, lambda v: A @ v, jnp.sin], w),
    "rows in a for loop": lambda A, w: sum(w @ (row @ w)[:, None] for row in A),
    "opaque constant": lambda A, w: w * jnp.searchsorted(np.arange(5.0), 2.5),
    "polynomial of a constant": lambda A, w: A @ w * jnp.polyval(np.array([2.0, 1.0, 3.0]), 0.5),
    "polynomial of a number": lambda A, w: w * jnp.polyval(np.array([2.0, 1.0, 3.0]), (w.T @ w)),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_step_calls_is_compiled_as_if_it_were_written_there(name):
    assert_agrees(
        lambda A, w: {"w": CALLS[name](A, w) + A @ w}, {"A": (3, 3), "w": (3, 1)}, depth=1
    )


@pytest.mark.parametrize("execution", ["auto", "dense"])
def test_blocks_beyond_the_range_of_the_dtype_are_refused(execution):
    stack = elsa.compile(
        lambda w: {"w": w / 2}, {"w": (2, 1)}, dtype=np.float32, execution=execution
    )
    message = r"w must lie in the range of float32.*got 1e\+300 at index \(1, 0\)"
    with pytest.raises(ValueError, match=message):
        stack(w=np.array([[1.0], [1e300]]))
    ridge = constructions.ridge_elsa(1, 1, 1, 0.1, dtype=np.float32)
    with pytest.raises(ValueError, match="lam must lie in the range of float32"):
        ridge(X=np.ones((1, 1)), y=np.ones(1), lam=1e300)
    with pytest.raises(ValueError, match="ELSA: wq must lie in the range of float32"):
        nn.ELSA.from_weights(HeadWeights(*(np.full((1, 1, 1), 1e300),) * 6), dtype=np.float32)
