"""Trained models as plain stacks predict the same, as they are and through a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import elsa
from elsa import models, readback, tasks
from tests.helpers import wide


def drawn(model):
    """The model with all its parameters drawn anew, so that none is zero by chance."""
    graph, state = nnx.split(model)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    new = [
        jax.random.normal(key, leaf.shape, leaf.dtype) * leaf.shape[-1] ** -0.5
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return nnx.merge(graph, jax.tree.unflatten(tree, new))


MODELS = {
    "one layer": lambda d: models.LinearTransformer(d, 1, scale=0.1, rngs=nnx.Rngs(0)),
    "three layers, two heads": lambda d: models.LinearTransformer(
        d, 3, num_heads=2, scale=0.1, rngs=nnx.Rngs(0)
    ),
    "linear attention": lambda d: models.LinearAttention(d, scale=0.1, rngs=nnx.Rngs(0)),
    "merged": lambda d: models.MergedAttention(d),
    "low rank": lambda d: models.LowRankAttention(d, 1, rngs=nnx.Rngs(0)),
    "lora": lambda d: models.LoraAttention(np.eye(d), 1, rngs=nnx.Rngs(0)),
}


@pytest.mark.parametrize(
    "name, n, d",
    wide(
        [(name, *sizes) for name in MODELS for sizes in ((1, 1), (2, 4), (7, 3))],
        keep=[
            *(("one layer", 1, 1), ("three layers, two heads", 7, 3), ("linear attention", 1, 1)),
            *(("merged", 2, 4), ("low rank", 2, 4), ("lora", 7, 3)),
        ],
    ),
)
def test_the_stack_predicts_what_the_model_predicts(name, n, d, tmp_path):
    model, queries = drawn(MODELS[name](d)), 2
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)
    query_x = rng.normal(size=(queries, d))
    prompt = tasks.Prompt(
        jnp.repeat(jnp.asarray(x)[None], queries, axis=0),
        jnp.repeat(jnp.asarray(y)[None], queries, axis=0),
        jnp.asarray(query_x),
        jnp.zeros(queries),
    )
    stack = readback.attention_stack(model, n, num_queries=queries)
    blocks = {"X": x, "y": y[:, None], "query_x": query_x}
    predicted = stack(**blocks)["prediction"][:, 0]
    np.testing.assert_allclose(predicted, model(prompt), rtol=1e-11, atol=1e-13)
    elsa.export(stack, tmp_path / "model.safetensors")
    loaded = elsa.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(loaded(**blocks)["prediction"][:, 0], predicted, rtol=1e-12)


def test_its_layers_are_the_models_and_its_dtype_too():
    model = models.LinearTransformer(2, 3, dtype=jnp.float32, rngs=nnx.Rngs(0))
    stack = readback.attention_stack(model, 4)
    assert stack.num_layers == 3
    assert stack.num_heads == 5  # the last layer's context is read by nothing
    assert stack.dtype == np.float32


def test_a_model_that_weighs_its_rows_is_refused():
    with pytest.raises(TypeError, match=r"must be a LinearTransformer, .* got MergedH3"):
        readback.attention_stack(models.MergedH3(2, 4), 4)


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="num_queries must be at least 1, got 0"):
        readback.attention_stack(models.MergedAttention(2), 4, num_queries=0)
