"""Prompts of which some rows count."""

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from elsa import models, tasks
from tests.tasks.test_pairs import prompt_of

SIZE = st.integers(1, 4)
# of a sweep over lengths: the class, and what it is built with beside the dimension
COUNTING = {
    "linear_attention": (models.LinearAttention, {}),
    "merged_attention": (models.MergedAttention, {}),
    "low_rank_attention": (models.LowRankAttention, {"rank": 1}),
    "merged_h3": (models.MergedH3, {"context_length": 4}),
}


def started(name, dim):
    """A model whose parameters are all drawn: some begin at zero or one."""
    cls, sizes = COUNTING[name]
    model = cls(dim, rngs=nnx.Rngs(0), **sizes)
    rng = np.random.default_rng(1)
    params = nnx.state(model, nnx.Param)
    nnx.update(model, jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), params))
    return model


@pytest.mark.parametrize("name", COUNTING)
@given(batch=SIZE, n=SIZE, d=SIZE, data=st.data())
def test_rows_that_do_not_count_are_as_rows_of_zeros(name, batch, n, d, data):
    prompt, length = prompt_of(batch, n, d), data.draw(st.integers(0, n))
    model = started(name, d)
    found = model(tasks.counted_prompt(prompt, length))
    expected = model(tasks.keep_last(prompt, length))
    scale = max(1.0, np.abs(model(prompt)).max())
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * scale)


def test_lengths_share_their_rows():
    """A map over lengths leaves all but the counts without an axis of its own."""
    only_counts = tasks.CountedPrompt(None, None, 0, None, None)
    lengths = jax.vmap(tasks.counted_prompt, in_axes=(None, 0), out_axes=only_counts)
    shapes = jax.eval_shape(
        lambda prompt, of: tuple(lengths(prompt, of)), prompt_of(2, 5, 3), np.array([1, 4])
    )
    assert [leaf.shape for leaf in shapes] == [(2, 5, 3), (2, 5), (2, 5), (2, 3), (2,)]


@pytest.mark.parametrize(
    "length, error, message",
    [
        (4, ValueError, "counted_prompt: length must be at most n=3, got 4"),
        (-1, ValueError, "counted_prompt: length must be at least 0, got -1"),
        (1.5, TypeError, "counted_prompt: length must be an integer, got 1.5"),
    ],
)
def test_a_length_that_is_none_is_refused(length, error, message):
    with pytest.raises(error, match=message):
        tasks.counted_prompt(prompt_of(1, 3, 2), length)


def test_counts_that_do_not_fit_and_models_that_take_none_are_refused():
    counted = tasks.counted_prompt(prompt_of(2, 3, 2), 1)
    with pytest.raises(ValueError, match="counts"):
        started("merged_h3", 2)(counted._replace(counts=np.ones(4)))
    rngs = nnx.Rngs(0)
    for model in (models.SoftmaxAttention(2, rngs=rngs), models.H3(2, 3, rngs=rngs)):
        with pytest.raises(TypeError, match=r"must be a tasks\.Prompt or GramPrompt, got Counted"):
            model(counted)
