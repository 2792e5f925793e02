"""Prompts as the products of their rows' entries."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import tasks

SIZE = st.integers(1, 4)


def prompt_of(batch, n, d, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(batch, n, d), (batch, n), (batch, d), (batch,)]
    return tasks.Prompt(*(rng.standard_normal(shape) for shape in shapes))


@given(batch=SIZE, n=SIZE, d=SIZE, data=st.data())
def test_pairs_are_the_products_of_a_row_s_entries(batch, n, d, data):
    prompt = prompt_of(batch, n, d)
    length = data.draw(st.none() | st.integers(0, n))
    found = tasks.pair_prompt(prompt, length)
    for b in range(batch):
        for i in range(n):
            x, y = prompt.x[b, i], prompt.y[b, i]
            expected = [x[j] * x[k] for j in range(d) for k in range(j, d)]
            np.testing.assert_allclose(found.pairs[b, :, i], expected, rtol=1e-15)
            with_label = [*(x * y), y * y]
            np.testing.assert_allclose(found.label_pairs[b, :, i], with_label, rtol=1e-15)
            row = np.append(x, y)
            of_entries = [row[j] * row[k] for j, k in zip(*found.entries(), strict=True)]
            np.testing.assert_allclose([*expected, *with_label], of_entries, rtol=1e-15)
            in_order = [row[j] * row[k] for j in range(d + 1) for k in range(j, d + 1)]
            np.testing.assert_allclose(found.together()[b, :, i], in_order, rtol=1e-15)
    kept = n if length is None else length
    np.testing.assert_array_equal(found.counts, [0.0] * (n - kept) + [1.0] * kept)
    np.testing.assert_array_equal(found.query_x, prompt.query_x)
    np.testing.assert_array_equal(found.query_y, prompt.query_y)


def test_lengths_share_their_products():
    """A map over lengths leaves the products without an axis of their own."""
    lengths = jax.vmap(
        tasks.pair_prompt, in_axes=(None, 0), out_axes=tasks.PairPrompt(None, None, 0, None, None)
    )
    shapes = jax.eval_shape(
        lambda prompt, of: tuple(lengths(prompt, of)), prompt_of(2, 5, 3), np.array([1, 4])
    )
    assert [leaf.shape for leaf in shapes] == [(2, 6, 5), (2, 4, 5), (2, 5), (2, 3), (2,)]


def test_prompts_that_differ_in_their_labels_share_the_products_of_their_covariates():
    prompt = prompt_of(2, 5, 3)
    labels = jax.vmap(
        lambda y: tasks.pair_prompt(prompt._replace(y=y)),
        out_axes=tasks.PairPrompt(None, 0, None, None, None),
    )
    shapes = jax.eval_shape(lambda y: tuple(labels(y)), np.ones((7, 2, 5)))
    assert [leaf.shape for leaf in shapes] == [(2, 6, 5), (7, 2, 4, 5), (5,), (2, 3), (2,)]


@pytest.mark.parametrize(
    "length, error, message",
    [
        (4, ValueError, "pair_prompt: length must be at most n=3, got 4"),
        (-1, ValueError, "pair_prompt: length must be at least 0, got -1"),
        (1.5, TypeError, "pair_prompt: length must be an integer, got 1.5"),
    ],
)
def test_a_length_that_is_none_is_refused(length, error, message):
    with pytest.raises(error, match=message):
        tasks.pair_prompt(prompt_of(1, 3, 2), length)


def test_anything_but_a_prompt_is_refused():
    with pytest.raises(TypeError, match="pair_prompt: prompt must be a Prompt"):
        tasks.pair_prompt(tasks.gram_prompt(prompt_of(1, 3, 2)))
