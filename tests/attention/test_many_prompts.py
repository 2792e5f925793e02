"""Many prompts at once against the recursion of one prompt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa.attention import gram, many_prompts
from elsa.base import arithmetic, lanes
from tests.helpers import relative_error, wide

# (prompts, context rows, d, heads, depth)
SIZES = [(1, 1, 1, 1, 1), (2, 4, 2, 2, 2), (7, 3, 5, 1, 3), (9, 20, 1, 3, 5), (3, 5, 10, 1, 4)]
SIZES += [(2, 3, 2, 1, 0)]
KEPT = [(1, 1, 1, 1, 1), (2, 4, 2, 2, 2), (9, 20, 1, 3, 5), (2, 3, 2, 1, 0)]


def drawn(batch, n, d, heads, depth, seed=0):
    """Gram matrices, query rows and weights; a layer changes its input by about its size."""
    rng, m = np.random.default_rng(seed), d + 1
    rows = rng.normal(size=(batch, n, m)) / n**0.5
    weights = [rng.normal(size=(depth, heads, m, m)) / (m * heads**0.5) for _ in range(2)]
    return np.einsum("bni,bnj->bij", rows, rows), rng.normal(size=(batch, m)), *weights


def one_by_one(moment, query, query_key, value):
    run = jax.vmap(gram.run_layers, in_axes=(0, 0, None, None))
    return run(moment, query, query_key, value)[:, -1]


def with_gradients(function, *operands):
    def total(*operands):
        out = function(*operands)
        return jnp.sum(jnp.sin(out)), out

    every = tuple(range(len(operands)))
    (_, out), slopes = jax.value_and_grad(total, every, has_aux=True)(*operands)
    return [out, *slopes]


@pytest.mark.parametrize("batch, n, d, heads, depth", wide(SIZES, keep=KEPT))
def test_predictions_and_gradients_are_those_of_prompts_one_by_one(batch, n, d, heads, depth):
    operands = drawn(batch, n, d, heads, depth)
    found = jax.jit(lambda *of: with_gradients(many_prompts.last_channel, *of))(*operands)
    expected = jax.jit(lambda *of: with_gradients(one_by_one, *of))(*operands)
    # sums of some hundred products of numbers of order 1, and three times as many for a gradient
    assert max(map(relative_error, found, expected)) <= 1e-12


@pytest.mark.slow
@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 2), st.integers(0, 4)
)
def test_predictions_of_any_size_are_those_of_prompts_one_by_one(batch, n, d, heads, depth):
    with jax.disable_jit():  # some hundred operations, and no program for each size
        operands = drawn(batch, n, d, heads, depth)
        found = many_prompts.last_channel(*map(jnp.asarray, operands))
    expected = [gram_row(*(a[i] for a in operands[:2]), *operands[2:]) for i in range(batch)]
    assert relative_error(found, np.array(expected)) <= 1e-12


def gram_row(moment, row, query_key, value):
    """The recursion of `gram.run_layers` in NumPy."""
    for first, last in zip(query_key, value, strict=True):
        multiplier = np.eye(len(row)) + np.einsum("hij,jk,hkl->il", first, moment, last)
        moment, row = multiplier.T @ moment @ multiplier, row @ multiplier
    return row[-1]


def test_a_sweep_over_weights_and_a_second_derivative():
    moment, query, query_key, value = map(jnp.asarray, drawn(3, 4, 2, 1, 3))
    several = jnp.stack([query_key, value, query_key + value])

    def product_with_hessian(function):
        def slope(weights):
            return jax.grad(lambda w: jnp.sum(jnp.sin(function(moment, query, w, value))))(weights)

        def one(weights):
            return jax.jvp(slope, (weights,), (jnp.ones_like(weights),))

        return jax.jit(jax.vmap(one))(several)

    found = product_with_hessian(many_prompts.last_channel)
    assert max(map(relative_error, found, product_with_hessian(one_by_one))) <= 1e-11


def test_prompts_that_differ_in_a_sweep_have_gradients_of_their_own():
    several = [jnp.asarray(a) for a in drawn(4, 3, 2, 1, 3)]
    prompts = [several[0].reshape(2, 2, 3, 3), several[1].reshape(2, 2, 3)]

    def slopes(function):
        def one(moment, query):
            return with_gradients(function, moment, query, *several[2:])

        return jax.jit(jax.vmap(one))(*prompts)

    found = slopes(many_prompts.last_channel)
    assert max(map(relative_error, found, slopes(one_by_one))) <= 1e-12


def test_float32_rounds_as_one_by_one():
    operands = drawn(64, 20, 5, 1, 3)
    exact = one_by_one(*operands)
    single = [np.float32(a) for a in operands]
    off, before = (
        relative_error(jax.jit(function)(*single), exact)
        for function in (many_prompts.last_channel, one_by_one)
    )
    assert off <= 4 * before + 1e-7  # another order of the same sums


def test_the_form_is_chosen_by_sizes_device_and_the_version_of_a_run(monkeypatch):
    assert lanes.serve(1_000, 6)
    assert not lanes.serve(1, 6)
    assert not lanes.serve(1_000, 65)
    with arithmetic.as_of(1):
        assert not lanes.serve(1_000, 6)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not lanes.serve(1_000, 6)


def test_every_product_is_compiled_apart_from_its_readers():
    """XLA would fuse it into each of them, and compute it there once more for every entry."""
    operands = [np.float32(a) for a in drawn(100, 20, 5, 1, 3)]
    compiled = jax.jit(many_prompts.last_channel).lower(*operands).compile()
    products = 8  # two rows by a matrix, two for a congruence, three for the vectors and the last
    assert compiled.as_text().count(" while(") == products
