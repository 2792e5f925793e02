"""Products of matrices, exactly with biases, and the best of them without."""

import functools

import jax
import numpy as np
import pytest

from elsa import attention, constructions, theory
from tests.helpers import relative_error, stack_reference, table


def blocks(names, k, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {name: (rng.normal(size=(k, k)) / k**0.5).astype(dtype) for name in names}


def written(stack, given):
    """The last block in NumPy."""
    h = np.zeros(stack.readout.shape)
    h[:, : len(given) * len(h)] = np.hstack(list(given.values()))
    return stack_reference(stack.stack, h)[:, stack.readout.box("out").channels]


@table("k, names", [(1, "AB"), (3, "AB"), (1, "ABC"), (4, "ABC"), (2, "ABCD")])
def test_one_head_a_layer_is_the_product(k, names):
    stack, given = constructions.product_elsa(k, len(names)), blocks(names, k)
    assert stack.num_layers == stack.num_heads == len(names) - 1
    expected = functools.reduce(np.matmul, given.values())
    assert relative_error(written(stack, given), expected) < 1e-12


@table("k", [1, 4])
def test_one_head_without_biases_is_the_transposed_middle(k):
    stack, given = constructions.product_lsa(k), blocks("ABC", k)
    expected = given["A"] @ given["B"].T @ given["C"] / k
    assert relative_error(written(stack, given), expected) < 1e-12
    assert stack.num_layers == stack.num_heads == 1 and not stack.layers[0][0].has_bias


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_calls_in_both_precisions(dtype, tolerance):
    given = blocks("ABC", 4, dtype)
    a, b, c = given.values()
    elsa = constructions.product_elsa(4, 3, dtype=dtype)
    lsa = constructions.product_lsa(4, dtype=dtype)
    for stack, expected in ((elsa, a @ b @ c), (lsa, a @ b.T @ c / 4)):
        found = stack(**given)["out"]
        assert found.dtype == dtype
        assert relative_error(found, expected) < tolerance
        assert stack.verify(jax.random.key(0)) < tolerance


def test_without_biases_it_is_equivariant_and_with_them_not():
    prompt = np.random.default_rng(1).normal(size=(3, 12))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    lsa, elsa = constructions.product_lsa(3), constructions.product_elsa(3, 2)
    assert attention.equivariance_error(lsa.stack, prompt, turn) < 1e-12
    assert attention.equivariance_error(elsa.stack, prompt[:, :9], turn) > 0.1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_its_relative_risk_is_that_of_theory(k):
    rng, samples = np.random.default_rng(3), 20_000
    a, b, c = rng.normal(size=(3, samples, k, k)) / k**0.5
    guess, target = a @ b.swapaxes(1, 2) @ c / k, a @ b @ c
    errors = np.sum((guess - target) ** 2, axis=(1, 2)) / k  # E |A B C|^2 = k
    exact = theory.product_floor(size=k, factors=3)
    standard_error = errors.std(ddof=1) / samples**0.5
    assert abs(errors.mean() - exact) <= 4 * standard_error


@table(
    "function, given, error, message",
    [
        (constructions.product_elsa, (0, 2), ValueError, "size must be at least 1"),
        (constructions.product_elsa, (2, 1), ValueError, "factors must be at least 2"),
        (constructions.product_elsa, (2, 27), ValueError, "factors must be at most 26"),
        (constructions.product_elsa, (2.0, 2), TypeError, "size must be an integer"),
        (constructions.product_lsa, (0,), ValueError, "size must be at least 1"),
    ],
)
def test_bad_sizes(function, given, error, message):
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(*given)
