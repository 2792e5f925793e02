"""Stacks with named blocks as models: the same answers, and settings that say it all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import constructions, models, tasks
from elsa.heads.head import HeadWeights
from elsa.models.from_blocks import from_blocks
from elsa.nn import ELSA, LSA, BlockStack, Stack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import named_format

N, D = 6, 2
LAM, STEP = 0.3, 0.4
_DRAWN = np.random.default_rng(0).standard_normal((N + 1, D + 1)).astype(np.float32)
PROMPT = tasks.Prompt(_DRAWN[None, :N, :D], _DRAWN[None, :N, D], _DRAWN[N:, :D], _DRAWN[N:, D])


def drawn(boxes, depth=2, tied=True, layers=1, **words):
    """A stack of random LSA layers."""
    layout = BlockLayout(boxes)
    make = lambda rngs: LSA(layout.shape[1], 3, 2, init_scale=0.3, rngs=rngs)  # noqa: E731
    rngs = nnx.Rngs(0)
    body = [make(rngs) for _ in range(layers)]
    inner = Stack(body, depth) if tied else Stack.untied(make, depth, rngs=rngs)
    return BlockStack(inner, layout, layout, **words)


def by_position():
    """ELSA on the natural prompt, whose biases differ from row to row."""
    layout = named_format("natural", D).layout(N)
    (n, m), drawn_by = layout.shape, np.random.default_rng(1)
    shapes = [(2, m, 3), (2, m, 3), (2, m, m), (2, n, 3), (2, n, 3), (2, n, m)]
    weights = HeadWeights(*(0.2 * drawn_by.standard_normal(shape) for shape in shapes))
    return BlockStack(Stack([ELSA.from_weights(weights, dtype=np.float32)], 2), layout, layout)


STACKED = {"X": (0, 0, N, D), "y": (0, 2 * D, N, 1), "query_x": (N, D, 1, D)}
STACKED["prediction"] = (N, 2 * D + 1, 1, 1)
ELSEWHERE = {**STACKED, "prediction": (N, 2 * D + 2, 1, 1)}
QUERY = {"num_queries": 1, "dtype": np.float32}
CASES = {
    "least squares": (
        lambda: constructions.least_squares_lsa(N, D, 2, STEP, dtype=np.float32),
        {"name": "lsa", "layout": "stacked", "init": "construction", "depth": 2},
    ),
    "designed": (
        lambda: constructions.ridge_lsa(N, D, 3, STEP, **QUERY),
        {"name": "lsa", "layout": "designed", "algorithm": "ridge_lsa", "depth": 3},
    ),
    "source": (
        lambda: constructions.ridge_lsa_state(N, D, 2, STEP, **QUERY),
        {"name": "lsa", "layout": "source", "algorithm": "ridge_lsa_state"},
    ),
    "natural": (
        lambda: constructions.ridge_elsa(N, D, 2, STEP, **QUERY),
        {"name": "elsa", "layout": "natural", "biases": "role"},
    ),
    "another name": (
        lambda: drawn(STACKED),
        {"name": "lsa", "layout": "stacked", "init": "random", "num_heads": 2, "key_size": 3},
    ),
    "untied": (lambda: drawn(STACKED, tied=False), {"layout": "stacked", "tied": False}),
    "by position": (by_position, {"name": "elsa", "layout": "natural", "biases": "position"}),
    "elsewhere": (lambda: drawn(ELSEWHERE), {"layout": "custom", "init": "random"}),
}


SLOW = (
    "least squares",
    "source",
    "natural",
    "another name",
    "by position",
    "elsewhere",
)  # to compile; others stand for them


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES]
)
def test_a_stack_and_its_model_answer_alike(name):
    make, wanted = CASES[name]
    stack = make()
    found = from_blocks(stack, where="file")
    assert wanted.items() <= found.settings.items()
    prompt = PROMPT
    blocks = {
        "X": prompt.x[0] / N**0.5,
        "y": prompt.y[0] / N**0.5,
        "query_x": prompt.query_x[:1],
        "lam": jnp.array([[LAM / N]]),
        "w": jnp.zeros((D, 1)),
        "prediction": jnp.zeros((1, 1)),
        "residual": jnp.zeros((N, 1)),
    }
    given = {block: blocks[block].reshape(shape) for block, shape in stack.inputs.items()}
    model = models.build(
        {**found.settings, "lam": LAM, "step_size": STEP},
        rngs=nnx.Rngs(1),
        dim=D,
        context_length=N,
        dtype=np.float32,
    )
    model.stack = found.model.stack
    # the settings alone give a model of the same arrays
    own, same = (nnx.to_flat_state(nnx.state(m, nnx.Param)) for m in (model, found.model))
    assert [(path, leaf.shape) for path, leaf in own] == [(p, leaf.shape) for p, leaf in same]
    answers = jax.jit(lambda: (model(prompt)[0], jnp.squeeze(stack(**given)["prediction"])))
    np.testing.assert_allclose(*answers(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: drawn({"a": (0, 0, N, D), "y": (0, 2, N, 1)}), r"must have a block X, got \['a'"),
        (lambda: drawn({"X": (0, 0, N, D), "y": (0, 2, N, 1)}), "is no stack of one repeated la"),
        (lambda: drawn(STACKED, layers=2), r"repeated and behind 0 \+ 2 \+ 0"),
        (
            lambda: drawn(ELSEWHERE, name="least_squares_lsa", layers=2),
            r"prediction of 'least_squares_lsa' lies at \(6, 6, 1, 1\) .* construction at \(6, 5,",
        ),
        (
            lambda: drawn(STACKED, name="least_squares_lsa", layers=2),
            r"stack/body/\d/\w\w has|body/\d/\w\w has the shape",
        ),
    ],
)
def test_a_stack_that_no_settings_describe_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        from_blocks(make(), where="file")
