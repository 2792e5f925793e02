"""What is read from a step: library calls, loops, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import assert_agrees

REGRESSION = {"X": (5, 3), "y": (5, 1), "w": (3, 1)}


@jax.jit
def product_and_exponential(X, w):
    return X @ w, jnp.exp(w)


@jax.jit
def jitted_loss(w, X, y):
    return 0.5 * jnp.sum((X @ w - y) ** 2)


def plain_loss(w, X, y):
    return 0.5 * jnp.sum(jnp.square(X @ w - y))


def mean_loss(w, X, y):
    return jnp.mean((X @ w - y) ** 2) + 0.1 * jnp.sum(w * w)


def quadratic_form(w, X, y):
    residual = (X @ w - y)[:, 0]
    return 0.5 * residual @ residual + 0.1 * jnp.vdot(w, w)


def norm_loss(w, X, y):
    return 0.5 * jnp.einsum("ij,ij->", X @ w - y, X @ w - y)


@pytest.mark.parametrize("loss", [jitted_loss, plain_loss, mean_loss, quadratic_form, norm_loss])
def test_a_gradient_of_a_quadratic_loss_compiles(loss):
    def step(X, y, w):
        return {"w": w - 0.3 * jax.grad(loss)(w, X, y)}

    stack = assert_agrees(step, REGRESSION, depth=5)
    assert stack.num_layers <= 5 + 4


@pytest.mark.parametrize(
    "wrap", [jax.jit, jax.checkpoint, jax.named_call], ids=lambda w: w.__name__
)
def test_gradients_through_wrapped_losses_compile(wrap):
    def step(X, y, w):
        return {"w": w - 0.3 * jax.grad(wrap(plain_loss))(w, X, y)}

    assert_agrees(step, REGRESSION)


def test_hessian_vector_products_and_jacobians_of_linear_maps_compile():
    def step(X, y, w):
        gradient, along = jax.jvp(lambda v: jax.grad(plain_loss)(v, X, y), (w,), (w,))
        back = jax.vjp(lambda v: X @ v, w)[1](y)[0]
        return {"w": w - 0.2 * gradient - 0.1 * along + 0.1 * back}

    assert_agrees(step, REGRESSION)


def test_the_unused_output_of_a_jitted_helper_is_no_error():
    def step(X, w):
        return {"w": product_and_exponential(X, w)[0]}

    assert_agrees(step, {"X": (3, 3), "w": (3, 1)})


def test_what_a_loop_collects_and_nobody_uses_is_no_error():
    def step(A, w):
        def body(w, _):
            return 0.5 * A @ w, (w, jnp.exp(w))

        return {"w": jax.lax.scan(body, w, None, length=3)[0]}

    assert_agrees(step, {"A": (3, 3), "w": (3, 2)})


@pytest.mark.parametrize("length", [0, 1, 3])
def test_loops_of_static_length_are_unrolled(length):
    def step(X, y, w):
        def body(_, w):
            return w - 0.2 * X.T @ (X @ w - y)

        return {"w": jax.lax.fori_loop(0, length, body, w) + 0.1 * (X.T @ y)}

    stack = assert_agrees(step, REGRESSION)
    assert stack.num_layers <= 2 * max(2 * length, 1) + 2


def test_scans_over_rows_and_collected_rows_compile():
    def step(X, w):
        def body(w, x):
            return w + 0.1 * x, w * 2.0

        last, seen = jax.lax.scan(body, w, X)
        back, _ = jax.lax.scan(body, last, X, reverse=True)
        return {"w": back, "X": 0.5 * X + 0.1 * seen}

    assert_agrees(step, {"X": (4, 3), "w": (3,)})


def test_a_while_loop_on_a_counter_is_unrolled():
    def step(A, w):
        def body(state):
            count, w = state
            return count + 1, 0.5 * A @ w

        return {"w": jax.lax.while_loop(lambda state: state[0] < 3, body, (0, w))[1]}

    assert_agrees(step, {"A": (3, 3), "w": (3, 1)})


def test_branches_on_constants_are_decided():
    def step(A, w, *, t):
        w = jax.lax.cond(jnp.sum(jnp.arange(3)) > 2, lambda w: A @ w, lambda w: jnp.exp(w), w)
        return {"w": jax.lax.switch(1, [jnp.sin, lambda w: 0.5 * w], w) + 0.1 * t}

    assert_agrees(step, {"A": (3, 3), "w": (3, 1)}, tied=False, depth=3)


def test_library_calls_that_are_linear_compile():
    def step(A, w):
        return {"w": jnp.linalg.multi_dot([A, A, w]) + jnp.linalg.matrix_power(A, 5) @ w}

    assert_agrees(step, {"A": (3, 3), "w": (3, 1)})


def test_numpy_and_jax_constants_of_any_dtype_keep_their_value():
    numbers = [np.float32(0.1), np.int64(2), jnp.asarray([[1.0]], jnp.float32), np.eye(3) / 3]

    def step(A):
        out = A
        for number in numbers:
            out = out * number + number
        return {"A": out @ (np.eye(3, dtype=np.float32) / np.float64(3.0))}

    assert_agrees(step, {"A": (3, 3)})


def test_a_step_may_be_jitted_partial_or_a_callable_object():
    def step(A, w, scale):
        return {"w": scale * A @ w}

    class Callable:
        def __call__(self, A, w):
            return step(A, w, 0.5)

    shapes = {"A": (3, 3), "w": (3, 1)}
    for made in (
        functools.partial(step, scale=0.5),
        Callable(),
        jax.jit(lambda A, w: step(A, w, 2)),
    ):
        assert elsa.compile(made, shapes, 2).verify(jax.random.key(0)) < 1e-14
