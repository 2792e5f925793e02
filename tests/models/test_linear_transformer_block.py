"""The linear transformer block is its formula, on rows and on Gram matrices, at any depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import tasks
from elsa.models import LinearTransformerBlock, build
from elsa.tasks import Prompt, gram_prompt
from tests.helpers import relative_error, table

# (n, d, depth, hidden, scale): one row, one covariate, fewer rows than covariates, narrow, wide
SIZES = [(1, 1, 1, None, 0.3), (6, 1, 3, 4, 0.3), (3, 5, 1, 2, None), (4, 2, 4, 7, None)]


def prompts(n, d, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(batch, n, d)), rng.normal(size=(batch, n))
    return Prompt(x, y, rng.normal(size=(batch, d)), np.full(batch, np.nan))


def make(d, depth=1, hidden=None, scale=None, seed=0):
    rngs = nnx.Rngs(params=seed)
    return LinearTransformerBlock(d, depth, hidden=hidden, scale=scale, init_scale=0.5, rngs=rngs)


def formula(model, X, y, x, scale):
    """The paper's own form, tokens as columns: [W2^T W1 (E + Wpv E M E^T Wkq E / n)]_{-1,-1}."""
    E = np.block([[X.T, x[:, None]], [y[None], np.zeros((1, 1))]])
    mask = np.diag([1.0] * len(X) + [0.0])
    for Wpv, Wkq, W1, W2 in zip(
        *(np.asarray(w[...]) for w in (model.w_pv, model.w_kq, model.w1, model.w2)), strict=True
    ):
        E = W2.T @ W1 @ (E + scale * Wpv @ E @ mask @ E.T @ Wkq @ E)
    return E[-1, -1]


@pytest.mark.parametrize("n, d, depth, hidden, scale", SIZES)
def test_it_is_the_papers_formula(n, d, depth, hidden, scale):
    model, prompt = make(d, depth, hidden, scale), prompts(n, d)
    expected = [
        formula(model, *one, scale or 1.0 / n)
        for one in zip(prompt.x, prompt.y, prompt.query_x, strict=True)
    ]
    # A few products of small matrices a block, against a form that keeps every row: 1e-12.
    assert relative_error(model(prompt), expected) <= 1e-12


@pytest.mark.parametrize("depth", [1, 3])
def test_of_the_context_it_sees_the_gram_matrix_alone(depth):
    model, prompt = make(3, depth, scale=0.2), prompts(7, 3)
    assert LinearTransformerBlock.takes_gram
    assert relative_error(model(gram_prompt(prompt)), model(prompt)) <= 1e-13
    order = np.random.default_rng(1).permutation(7)
    turned = prompt._replace(x=prompt.x[:, order], y=prompt.y[:, order])
    assert relative_error(model(turned), model(prompt)) <= 1e-12


def test_rows_that_are_zero_and_the_querys_label_do_not_enter():
    model, prompt = make(2, 2, scale=0.2), prompts(5, 2)
    shorter = prompt._replace(x=prompt.x[:, 2:], y=prompt.y[:, 2:])
    padded = tasks.keep_last(prompt, 3)
    assert relative_error(model(padded), model(shorter)) <= 1e-13
    other = prompt._replace(query_y=np.zeros(3))
    np.testing.assert_array_equal(model(other), model(prompt))


def test_it_runs_under_jit_grad_and_vmap():
    prompt = prompts(4, 2)
    graph, params = nnx.split(make(2, 2))

    def loss(params):
        return jnp.mean(nnx.merge(graph, params)(prompt) ** 2)

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    each = jax.vmap(lambda params: nnx.merge(graph, params)(prompt))(stacked)
    assert relative_error(each[0], make(2, 2)(prompt)) <= 1e-13


def test_a_config_builds_it_with_the_scale_of_the_engine():
    settings = {"name": "linear_transformer_block", "depth": 2, "hidden": 4}
    made = build(settings, rngs=nnx.Rngs(params=1), dim=3, context_length=9, scale=0.1)
    assert made.scale == 0.1 and made.w1.shape == (2, 4, 4) and made.w_kq.shape == (2, 4, 4)


@table(
    "given, message",
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"dim": 2, "depth": 0}, "depth must be at least 1, got 0"),
        ({"dim": 2, "hidden": 0}, "hidden must be at least 1, got 0"),
        ({"dim": 2, "scale": 0.0}, "scale must be finite and above 0, got 0.0"),
        ({"dim": 2, "init_scale": -1.0}, "init_scale must be finite and above 0"),
    ],
)
def test_it_refuses(given, message):
    with pytest.raises(ValueError, match=f"LinearTransformerBlock: {message}"):
        LinearTransformerBlock(**given, rngs=nnx.Rngs(params=0))


def test_a_gram_matrix_does_not_tell_the_number_of_rows():
    with pytest.raises(ValueError, match="a GramPrompt does not tell how many rows"):
        make(2)(gram_prompt(prompts(3, 2)))
    with pytest.raises(TypeError, match=r"depth must be an integer, got 1\.5"):
        LinearTransformerBlock(2, 1.5, rngs=nnx.Rngs(params=0))  # type: ignore[arg-type]
