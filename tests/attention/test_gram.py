"""Right multiplication through the Gram matrix against a loop over layers, heads and rows."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa.attention import gram
from tests.helpers import relative_error

# (context rows, dimension, heads, depth): one row, one dimension, fewer rows than dimensions
SIZES = [(1, 1, 1, 1), (3, 4, 2, 3), (6, 1, 3, 2), (5, 3, 1, 4), (4, 2, 2, 0)]


def drawn(n, d, heads, depth, seed=0):
    """Rows, a query and weights, scaled so that a layer changes its input by about its size."""
    rng, m = np.random.default_rng(seed), d + 1
    shape = (depth, heads, m, m)
    weights = [rng.normal(size=shape) / (m * heads**0.5) for _ in range(2)]
    return (
        rng.normal(size=(n, d)) / n**0.5,
        rng.normal(size=n) / n**0.5,
        rng.normal(size=m),
        *weights,
    )


def loop(rows, query, query_key, value):
    """H + sum_h (H A_h) H^T (H V_h) for every layer, row by row; the query attends to the rows."""
    for layer in range(len(query_key)):
        new_rows, new_query = rows.copy(), query.copy()
        for a, v in zip(query_key[layer], value[layer], strict=True):
            for other in rows:
                new_query += (query @ a @ other) * (other @ v)
                for index, row in enumerate(rows):
                    new_rows[index] += (row @ a @ other) * (other @ v)
        rows, query = new_rows, new_query
    return query


@pytest.mark.parametrize("size", SIZES)
def test_running_layers_on_the_gram_matrix_equals_a_loop_over_rows(size):
    x, y, query, query_key, value = drawn(*size)
    rows = np.concatenate([x, y[:, None]], axis=1)
    found = gram.run_layers(gram.context_gram(x, y), query, query_key, value)
    # sums of some hundred products of numbers of order 1
    assert relative_error(found, loop(rows, query, query_key, value)) <= 1e-12


@given(seed=st.integers(0, 2**32 - 1))
def test_any_weights_agree_with_the_loop(seed):
    x, y, query, query_key, value = drawn(3, 2, 2, 3, seed)
    rows = np.concatenate([x, y[:, None]], axis=1)
    found = gram.run_layers(gram.context_gram(x, y), query, query_key, value)
    assert relative_error(found, loop(rows, query, query_key, value)) <= 1e-12


@pytest.mark.parametrize("size", SIZES[:4])
def test_the_right_multiplier_maps_every_row_as_one_layer_does(size):
    x, y, query, query_key, value = drawn(*size)
    rows = np.concatenate([x, y[:, None]], axis=1)
    multiplier = gram.right_multiplier(rows.T @ rows, query_key[0], value[0])
    assert relative_error(query @ multiplier, loop(rows, query, query_key[:1], value[:1])) <= 1e-12


def test_context_gram_sums_over_the_rows_of_each_prompt():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3))
    expected = np.zeros((2, 3, 3))
    for prompt in range(2):
        for row, label in zip(x[prompt], y[prompt], strict=True):
            token = np.append(row, label)
            expected[prompt] += np.outer(token, token)
    np.testing.assert_allclose(gram.context_gram(x, y), expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(gram.tokens(x, y)[1, 2], np.append(x[1, 2], y[1, 2]))


def test_a_context_of_zero_rows_leaves_the_query_as_it_is():
    _, _, query, query_key, value = drawn(1, 2, 1, 3)
    np.testing.assert_array_equal(gram.run_layers(np.zeros((3, 3)), query, query_key, value), query)


def test_layers_run_under_jit_vmap_and_grad():
    x, y, query, query_key, value = drawn(*SIZES[1])
    matrix = gram.context_gram(x, y)

    @jax.jit
    @jax.vmap
    def both(factor):
        return jax.value_and_grad(
            lambda scale: gram.run_layers(matrix, query, scale * query_key, value)[-1]
        )(factor)

    values, slopes = both(np.array([1.0, 1.0 + 1e-6, 1.0 - 1e-6]))
    # central difference of step 1e-6 with rounding of 1e-16 over it
    assert slopes[0] == pytest.approx(float(values[1] - values[2]) / 2e-6, rel=1e-7)


def test_shapes_that_do_not_fit_are_refused():
    x, y, query, query_key, value = drawn(*SIZES[1])
    matrix = gram.context_gram(x, y)
    with pytest.raises(
        ValueError, match=r"y must have shape \(3,\), as x has \(3, 4\), got \(2,\)"
    ):
        gram.tokens(x, y[:2])
    with pytest.raises(ValueError, match="run_layers: row must have shape"):
        gram.run_layers(matrix, query[:-1], query_key, value)
    with pytest.raises(ValueError, match="right_multiplier: value must have shape"):
        gram.right_multiplier(matrix, query_key[0], value[0][:1])


@pytest.mark.parametrize(
    "rows, channels, heads, depth, expected",
    [
        (1_000_000, 21, 1, 1, True),  # one pass instead of five
        (1_000_000, 21, 4, 8, True),
        (1, 21, 1, 1, False),  # m^3 of the recursion against a handful of rows
        (10, 21, 1, 8, False),
    ],
)
def test_the_gram_form_is_preferred_where_it_costs_fewer_multiplications(
    rows, channels, heads, depth, expected
):
    assert gram.prefers_gram(rows, channels, channels, heads, depth) is expected
    # the count itself, with p = m
    direct = depth * heads * rows * 5 * channels**2
    by_gram = rows * channels**2 + depth * (2 * heads + 2) * channels**3
    assert (by_gram < direct) is expected
