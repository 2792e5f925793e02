"""What trained models show of their inside is what they compute."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
from tests.models.trained import SIZES, filled, predict, prompt_of

RNGS = nnx.Rngs(0)


def of(name, size):
    _, n, d = size
    made = {
        "linear transformer": lambda: models.LinearTransformer(d, 3, num_heads=2, rngs=RNGS),
        "softmax": lambda: models.SoftmaxAttention(d, rngs=RNGS),
        "gpt2": lambda: models.GPT2(d, n + 2, width=4, depth=2, num_heads=2, rngs=RNGS),
    }
    model = filled(made[name]())
    if name == "linear transformer":  # products of nine numbers a layer: near 1, they stay finite
        model.p[...], model.q[...] = model.p[...] / 10, model.q[...] / 10
    return model


def inside(model, prompt):
    """Hidden states and attention, in one program."""
    shown = jax.jit(lambda given: (model.hidden_states(given), model.attention(given)))
    return tuple(map(np.asarray, shown(prompt)))


def kept(prompt, rows):
    """The prompt with its first rows absent."""
    return tasks.keep_last(prompt, rows)


@pytest.mark.parametrize("size", SIZES)
def test_each_layer_of_a_linear_transformer_adds_its_attention_times_values(size):
    model, prompt = of("linear transformer", size), prompt_of(size)
    states, attention = inside(model, prompt)
    batch, n, d = size
    assert states.shape == (4, batch, n + 1, d + 1) and attention.shape == (3, batch, 2, n + 1, n)
    for layer, (before, after) in enumerate(itertools.pairwise(states)):
        values = np.einsum("bjm,hmk->bhjk", before[:, :-1], np.asarray(model.value[layer]))
        added = np.einsum("bhij,bhjk->bik", attention[layer], values)
        np.testing.assert_allclose(after, before + added, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(-states[-1, :, -1, -1], predict(model, prompt), rtol=1e-11)


@pytest.mark.parametrize("size", SIZES)
def test_softmax_attention_predicts_the_mean_of_values_by_its_shares(size):
    model, prompt = of("softmax", size), prompt_of(size)
    states, shares = inside(model, prompt)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(states[1, :, 0, -1], predict(model, prompt), rtol=1e-12)
    none = kept(prompt, 0)
    assert not np.asarray(model.attention(none)).any() and not predict(model, none).any()


@pytest.mark.parametrize("size", SIZES)
def test_gpt2_shows_its_residual_stream_and_shares_that_look_back_only(size):
    model, prompt = of("gpt2", size), prompt_of(size)

    @jax.jit  # eagerly, every operation would be a program of its own
    def shown(prompt):
        states, shares = model.hidden_states(prompt), model.attention(prompt)
        answer = model.read_out(model.norm(states[-1, :, -1]))[:, 0]
        layer, h = model.layers[0], states[0]
        values = layer.attention.value(layer.attention_norm(h))
        mixed = jnp.einsum("bhqk,bkhp->bqhp", shares[0], values)
        middle = h + layer.attention.out(mixed)
        after = middle + layer.narrow(jax.nn.gelu(layer.widen(layer.mlp_norm(middle))))
        return states, shares, answer, after

    states, shares, answer, after = map(np.asarray, shown(prompt))
    assert states.shape == (3, size[0], size[1] + 1, 4)
    np.testing.assert_allclose(answer, predict(model, prompt), rtol=1e-10)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-12)
    assert not np.triu(shares, 1).any()
    np.testing.assert_allclose(states[1], after, rtol=1e-10, atol=1e-10)
