"""The small GPT-2: its formula written out, what it may see, and what leaving the MLP out does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import tasks
from elsa.base import arithmetic
from elsa.models import GPT2, build
from elsa.tasks import Prompt, gram_prompt
from tests.helpers import relative_error, table


def prompts(n, d, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(batch, n, d)), rng.normal(size=(batch, n))
    return Prompt(x, y, rng.normal(size=(batch, d)), np.full(batch, np.nan))


@functools.cache
def make(d=2, n=4, **given):
    """Small, with weights large enough that every part of the model counts."""
    sizes = {"width": 6, "depth": 2, "num_heads": 2, **given}
    model = GPT2(d, n, **sizes, rngs=nnx.Rngs(params=1))
    graph, params = nnx.split(model)
    rng = np.random.default_rng(2)
    moved = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
    return nnx.merge(graph, moved)


def run(model, prompt):
    """The predictions, compiled at once: eager calls would compile every operation."""
    graph, params = nnx.split(model)
    return jax.jit(lambda params, prompt: nnx.merge(graph, params)(prompt))(params, prompt)


def norm(h, layer):
    centred = h - h.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / deviation * np.asarray(layer.scale[...]) + np.asarray(layer.bias[...])


def linear(h, layer):
    return h @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])


def attend(h, layer, causal):
    """Softmax attention of one prompt, head by head."""
    parts = (layer.query, layer.key, layer.value)
    q, k, v = (
        np.einsum("sw,whp->hsp", h, np.asarray(p.kernel[...])) + np.asarray(p.bias[...])[:, None]
        for p in parts
    )
    scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[1:])) > 0, scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = shares / shares.sum(axis=-1, keepdims=True)
    mixed = np.einsum("hsp,hpw->sw", shares @ v, np.asarray(layer.out.kernel[...]))
    return mixed + np.asarray(layer.out.bias[...])


def gelu(h):
    return h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))


def formula(model, X, y, x, causal):
    tokens = np.vstack([np.column_stack([X, y]), np.append(x, 0.0)])
    h = linear(tokens, model.read_in) + np.asarray(model.positions[...])[-len(tokens) :]
    for layer in model.layers:
        h = h + attend(norm(h, layer.attention_norm), layer.attention, causal)
        if layer.widen is not None:
            h = h + linear(gelu(linear(norm(h, layer.mlp_norm), layer.widen)), layer.narrow)
    return linear(norm(h[-1], model.norm), model.read_out)[0]


@pytest.mark.parametrize(
    "n, d, given",
    [(1, 1, {"mlp": False}), (3, 5, {"causal": False, "num_heads": 3}), (4, 2, {"depth": 1})],
)
def test_it_is_its_formula(n, d, given):
    model, prompt = make(d, n, **given), prompts(n, d)
    expected = [
        formula(model, *one, given.get("causal", True))
        for one in zip(prompt.x, prompt.y, prompt.query_x, strict=True)
    ]
    # float64 through two layers; flax takes the variance as E h^2 - (E h)^2, which loses a digit.
    assert relative_error(run(model, prompt), expected) <= 1e-11


def test_without_mlp_there_is_nothing_of_it():
    count = {
        mlp: sum(leaf.size for leaf in jax.tree.leaves(nnx.split(make(mlp=mlp))[1]))
        for mlp in (True, False)
    }
    width, hidden = 6, 24
    of_one_layer = 2 * width * hidden + width + hidden + 2 * width  # two matrices, biases, a norm
    assert count[True] - count[False] == 2 * of_one_layer


def test_absent_rows_count_for_nothing_and_a_shorter_context_takes_the_last_positions():
    model, prompt = make(n=5), prompts(5, 2)
    shorter = prompt._replace(x=prompt.x[:, 2:], y=prompt.y[:, 2:])
    assert relative_error(run(model, tasks.keep_last(prompt, 3)), run(model, shorter)) <= 1e-12


def test_the_last_layer_is_run_for_the_query_alone_unless_the_run_began_with_all_tokens():
    model, prompt = make(n=12, width=8), prompts(12, 2)
    graph, params = nnx.split(model)

    def predict(params):
        return nnx.merge(graph, params)(prompt)

    with arithmetic.as_of(2):
        every = jax.jit(lambda params: predict(params)).lower(params)
    alone = jax.jit(lambda params: predict(params)).lower(params)
    assert alone.cost_analysis()["flops"] < 0.8 * every.cost_analysis()["flops"]
    assert relative_error(alone.compile()(params), every.compile()(params)) <= 1e-12


def test_the_querys_label_does_not_enter_and_a_context_without_rows_is_one():
    model, prompt = make(), prompts(4, 2)
    other = prompt._replace(query_y=np.zeros(3))
    np.testing.assert_array_equal(run(model, other), run(model, prompt))
    empty = prompt._replace(x=prompt.x[:, :0], y=prompt.y[:, :0])
    assert np.isfinite(run(model, empty)).all()


def test_gradients_reach_every_weight_under_jit_and_vmap():
    prompt = prompts(4, 2)
    graph, params = nnx.split(make())

    def loss(params):
        return jnp.mean(nnx.merge(graph, params)(prompt) ** 2)

    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    gradient = jax.jit(jax.vmap(jax.grad(loss)))(stacked)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        # softmax does not see what is added to all keys alike
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0) or "key" in jax.tree_util.keystr(path), path


def test_a_config_builds_it_in_the_dtype_of_the_run():
    settings = {"name": "gpt2", "width": 8, "depth": 1, "mlp": False}
    made = build(
        settings, rngs=nnx.Rngs(params=0), dim=3, context_length=9, scale=0.1, dtype="float32"
    )
    assert made.positions.shape == (10, 8)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.split(made)[1])} == {np.dtype("float32")}


@table(
    "given, message",
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"context_length": 0}, "context_length must be at least 1, got 0"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"width": 6, "num_heads": 4}, "num_heads must divide width=6, got 4"),
    ],
)
def test_it_refuses(given, message):
    with pytest.raises(ValueError, match=f"GPT2: {message}"):
        GPT2(**{"dim": 2, "context_length": 3, **given}, rngs=nnx.Rngs(params=0))


def test_it_refuses_gram_matrices_and_contexts_beyond_its_positions():
    with pytest.raises(TypeError, match="GPT2 needs the rows of the context"):
        make()(gram_prompt(prompts(4, 2)))
    with pytest.raises(ValueError, match="GPT2: context must have at most 4 rows, got 5"):
        make()(prompts(5, 2))
