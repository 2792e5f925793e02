"""Residuals carried as states: a layer a step, whatever is data and however the step is spelled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa import algorithms
from tests.compiler.helpers import TOLERANCE, assert_agrees, error, path, shapes_of
from tests.compiler.test_algorithms import regression


@pytest.mark.parametrize("depth", [1, 5, 50])
def test_a_constant_regulariser_costs_no_layer_more(depth):
    descent = algorithms.gradient_descent(0.9)

    def step(X, y, w):
        return descent(X=X, y=y, w=w, lam=0.25)

    blocks = regression(np.random.default_rng(0), 6, 3)
    del blocks["lam"]
    stack = elsa.compile(step, shapes_of(blocks), depth)
    assert stack.num_layers <= depth + 4
    assert error(stack(**blocks), path(step, blocks, depth)) <= TOLERANCE


@pytest.mark.parametrize("d", [3, 8, 9, 40])
def test_residuals_cost_heads_that_do_not_grow_with_the_dimension(d):
    """lam X w by lam X where that takes few heads, by w^T beside w elsewhere; 12 + 8 at most."""
    shapes = {"X": (50, d), "y": (50, 1), "w": (d, 1), "lam": (1, 1)}
    stack = elsa.compile(algorithms.gradient_descent(0.9), shapes, 5)
    assert stack.num_layers == 6
    assert sum(len(heads) for heads in stack.layers) <= 20


def test_a_step_size_that_is_data_costs_a_layer_once():
    def step(X, y, w, eta, lam):
        return {"w": w - eta * (X.T @ (X @ w - y) + lam * w)}

    shapes = {"X": (9, 3), "y": (9, 1), "w": (3, 1), "eta": (1, 1), "lam": (1, 1)}
    assert assert_agrees(step, shapes, depth=10).num_layers == 12
    wide = elsa.compile(step, shapes | {"X": (90, 40), "y": (90, 1), "w": (40, 1)}, 10)
    assert wide.num_layers == 12
    assert wide.readout.shape[1] < 4 * 40  # a head for each column once, and no channels for rows


def test_what_follows_from_the_new_weights_costs_a_layer_once():
    """Predictions of the step's own weights beside them, computed after the last step."""

    def step(X, y, w, queries, p):
        w = w - 0.1 * X.T @ (X @ w - y)
        return {"w": w, "p": queries @ w}

    shapes = {"X": (9, 3), "y": (9, 1), "w": (3, 1), "queries": (4, 3), "p": (4, 1)}
    assert assert_agrees(step, shapes, depth=10).num_layers == 12


NESTEROV = {
    "weights": lambda X, y, w, v: {
        "w": w + 0.9 * (w - v) - 0.1 * X.T @ (X @ (w + 0.9 * (w - v)) - y),
        "v": w,
    },
    "velocity": lambda X, y, w, v: {
        "w": w + 0.9 * v - 0.1 * X.T @ (X @ (w + 0.9 * v) - y),
        "v": 0.9 * v - 0.1 * X.T @ (X @ (w + 0.9 * v) - y),
    },
}


@pytest.mark.parametrize("name", NESTEROV)
def test_momentum_that_looks_ahead_is_one_layer_a_step(name):
    shapes = {"X": (9, 3), "y": (9, 1), "w": (3, 1), "v": (3, 1)}
    assert assert_agrees(NESTEROV[name], shapes, depth=10).num_layers == 12


def test_a_transposed_spelling_is_the_same_stack():
    shapes = {"X": (9, 3), "y": (9, 1), "w": (3, 1)}

    def step(X, y, w):
        return {"w": w - 0.1 * X.T @ (X @ w - y)}

    def turned(X, y, w):
        return {"w": w - 0.1 * ((w.T @ X.T - y.T) @ X).T}

    assert_agrees(turned, shapes, depth=4)
    listings = [str(elsa.compile(f, shapes, 4)).partition(",")[2] for f in (step, turned)]
    assert listings[0] == listings[1]


REPLACED = {
    "offset labels": lambda X, y, w, u, e: {"w": w - 0.1 * X.T @ (X @ w - (y - u)), "u": e},
    "anchor": lambda X, y, w, a, b: {"w": w - 0.1 * X.T @ (X @ (w - a) - y), "a": b},
    "combination": lambda a, b, w, v: {"w": w + 0.4 * ((v + a) - w), "a": b},
}


@pytest.mark.parametrize("name", REPLACED)
def test_a_residual_of_a_block_that_is_replaced_by_another_one(name):
    """The block is there after the first step, and not only after the last."""
    shapes = {"X": (9, 3), "y": (9, 1), "u": (9, 1), "e": (9, 1)}
    shapes |= dict.fromkeys("wabv", (3, 1))
    step = REPLACED[name]
    names = step.__code__.co_varnames
    assert_agrees(step, {block: shapes[block] for block in names}, depth=5)


SCALED = {
    "scaled residual": lambda X, y, w, s: {"w": w - X.T @ (s * (X @ w - y))},
    "scaled loss": lambda X, y, w, s: {
        "w": w - jax.grad(lambda w: 0.5 * s[0, 0] * jnp.sum(jnp.square(X @ w - y)))(w)
    },
    "momentum": lambda X, y, w, v, s: {"w": w - X.T @ (s * (X @ w - y)) + 0.3 * (w - v), "v": w},
    "scaled weights": lambda X, y, w, s: {"w": w - X.T @ (X @ (s * w)) + s * (X.T @ y)},
    "a row": lambda X, y, w, s: {"w": w - ((s * (w.T @ X.T - y.T)) @ X).T},
}


@pytest.mark.parametrize("execution", ["auto", "dense"])
@pytest.mark.parametrize("name", SCALED)
def test_a_state_and_its_transpose_stay_one(name, execution, depth=40):
    """Near the edge of stability, s |X|^2 = 1.8, where w from w^T and w^T from w drift apart."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(size, 3)))[0] for size in (9, 3))
    blocks = {"X": left * np.array([1.0, 0.3, 0.1]) @ right.T, "y": rng.normal(size=(9, 1))}
    blocks |= {"w": np.zeros((3, 1)), "v": np.zeros((3, 1)), "s": np.array([[1.8]])}
    step = SCALED[name]
    blocks = {block: blocks[block] for block in step.__code__.co_varnames}
    stack = elsa.compile(step, shapes_of(blocks), depth, execution=execution)
    assert error(stack(**blocks), path(step, blocks, depth)) <= TOLERANCE


DECAY = {
    "number": lambda X, y, w, lam: {"w": (1 - 0.1 * lam) * w - 0.1 * X.T @ (X @ w - y)},
    "data": lambda X, y, w, lam: {"w": lam * w - 0.1 * X.T @ (X @ w - y)},
}


@pytest.mark.parametrize("name", DECAY)
def test_weight_decay_in_front_costs_no_layer_of_a_step(name):
    shapes = {"X": (9, 3), "y": (9, 1), "w": (3, 1), "lam": (1, 1)}
    stack = assert_agrees(DECAY[name], shapes, depth=10)
    assert stack.num_layers <= 12
