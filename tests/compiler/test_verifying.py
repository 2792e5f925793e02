"""verify: the step itself as the measure, at the scales at which rounding shows."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

import elsa
from tests.compiler.test_stack import RIDGE, ridge
from tests.helpers import table


def test_verify_measures_the_largest_error_of_a_block():
    stack = elsa.compile(ridge, RIDGE, 4)
    assert stack.verify(jax.random.key(0)) <= 1e-14
    assert stack.verify(jax.random.key(0), lam=0.3, X=np.eye(5, 3)) <= 1e-14
    with pytest.raises(KeyError, match="verify: unknown block 'Y'"):
        stack.verify(jax.random.key(0), Y=1.0)


def test_verify_reports_a_reference_that_is_not_finite():
    stack = elsa.compile(lambda A: {"A": 100 * A @ A}, {"A": (3, 3)}, 40)
    with pytest.raises(ValueError, match=r"not finite: block 'A' after step \d+ of 40"):
        stack.verify(jax.random.key(0), A=np.full((3, 3), 10.0))


NO_BLOCKS = [(np.eye(2, 3), ValueError, r"block 'X' must have shape \(5, 3\), got \(2, 3\)")]
NO_BLOCKS += [("a", TypeError, "X must hold real numbers"), (None, TypeError, "X must hold real")]
NO_BLOCKS += [([[1.0], [1.0, 2.0]], TypeError, "X must be an array of numbers")]
NO_BLOCKS += [(np.full((5, 3), np.nan), ValueError, "X must be finite, got nan")]


@table("block, kind, message", NO_BLOCKS)
def test_verify_refuses_what_is_no_block(block, kind, message):
    with pytest.raises(kind, match=f"verify: {message}"):
        elsa.compile(ridge, RIDGE, 4).verify(jax.random.key(0), X=block)


@table("key", [0, None, jax.random.split(jax.random.key(0), 2)])
def test_verify_refuses_what_is_no_key(key):
    with pytest.raises(TypeError, match=r"verify: key must be one key, as of jax.random.key\(0\)"):
        elsa.compile(ridge, RIDGE, 4).verify(key)


def test_verify_is_not_traced():
    stack = elsa.compile(ridge, RIDGE, 4)
    with pytest.raises(TypeError, match="verify: key is traced, by jit, vmap or grad"):
        jax.jit(stack.verify)(jax.random.key(0))


def test_verify_finds_the_scales_at_which_a_step_is_stable():
    """They are below a tenth here, where w grows to X^-1 y, which is not small."""
    stack = elsa.compile(
        lambda X, y, w: {"w": w - 300.0 * X.T @ (X @ w - y)},
        {"X": (5, 3), "y": (5, 1), "w": (3, 1)},
        200,
    )
    assert stack.verify(jax.random.key(0)) <= 1e-12


@pytest.mark.parametrize("wrong", [np.nan, 1.0])
@pytest.mark.parametrize("name", ["A", "B"])
def test_verify_is_no_agreement_where_one_block_is_wrong(monkeypatch, wrong, name):
    stack = elsa.compile(lambda A, B: {"A": 2 * A, "B": B @ A}, {"A": (3, 3), "B": (3, 3)}, 2)
    run = type(stack).__call__

    def spoilt(self, /, **blocks):
        out = run(self, **blocks)
        return out | {name: out[name] + wrong}

    monkeypatch.setattr(type(stack), "__call__", spoilt)
    assert not stack.verify(jax.random.key(0)) < 0.1


def test_verify_of_trained_weights_says_what_its_number_is_and_what_to_ask_instead():
    """Which has no bound: three steps of a product of two changed weights are of degree 40."""
    stack = elsa.compile(ridge, RIDGE, 4, execution="dense")
    trained, optimizer = stack, nnx.Optimizer(stack, optax.adam(0.1), wrt=nnx.Param)
    blocks = {name: np.ones(shape) for name, shape in RIDGE.items()}
    optimizer.update(trained, nnx.grad(lambda stack: (stack(**blocks)["w"] ** 2).sum())(trained))
    said = "no training saw, where it may be of any size.* evaluate the loss that it was trained on"
    with pytest.warns(UserWarning, match=said) as warned:
        error = trained.verify(jax.random.key(0))
    assert not error < 1.0
    assert [str(warning.filename) for warning in warned] == [__file__]


def test_verify_of_weights_that_were_moved_and_are_the_same_says_nothing():
    stack = elsa.compile(ridge, RIDGE, 4, execution="dense")
    copied = nnx.merge(*nnx.split(stack))
    nnx.update(copied, jax.tree.map(lambda leaf: leaf + 0, nnx.state(copied)))
    assert copied.verify(jax.random.key(0)) <= 1e-13
