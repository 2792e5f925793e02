"""Stacks on prompts of blocks, against a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
from tests.helpers import table

K, BATCH = 3, 4
TASK = tasks.Products(K)
PROMPT = TASK.sample(jax.random.key(1), BATCH)
CLASSES = {"lsa": models.BlockLSA, "elsa": models.BlockELSA}


def model_of(name, depth=2, **own):
    options = {"num_heads": 2, "key_size": 5, "init_scale": 1.0, **own}
    return CLASSES[name](TASK.blocks, TASK.target_shape, depth, **options, rngs=nnx.Rngs(0))


def by_hand(model, prompt):
    """The prompt after every layer, from the weights of each."""
    blocks = [np.asarray(prompt.blocks[name]) for name in "AB"]
    zeros = np.zeros((BATCH, K, 2 * K))
    h, states = np.concatenate([*blocks, zeros], axis=2), []
    for index in range(model.num_layers):
        states.append(h)
        w = model.stack.layer(index).weights
        biased = np.size(w.bq) > 0
        heads = []
        for head in range(len(w.wq)):
            q, k, v = (
                h @ getattr(w, f"w{part}")[head] + (getattr(w, f"b{part}")[head] if biased else 0.0)
                for part in "qkv"
            )
            heads.append(q @ np.swapaxes(k, 1, 2) @ v)
        h = h + sum(heads)
    return np.stack([*states, h])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_it_runs_the_layers_on_blocks_side_by_side(name, tied):
    model = model_of(name, tied=tied)
    states = by_hand(model, PROMPT)
    np.testing.assert_allclose(model.hidden_states(PROMPT), states, atol=1e-12)
    np.testing.assert_allclose(model(PROMPT), states[-1][..., -K:], atol=1e-12)
    by_layer = models.by_layer(model, PROMPT)
    np.testing.assert_allclose(by_layer.prediction, states[..., -K:], atol=1e-12)
    assert by_layer.w is None
    assert model.layout.shape == (K, 4 * K) and list(model.given) == ["A", "B"]


def test_without_biases_it_turns_with_its_rows_and_with_them_it_does_not():
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(K, K)))
    turned = PROMPT._replace(blocks={n: turn @ b for n, b in PROMPT.blocks.items()})
    lsa, elsa = model_of("lsa"), model_of("elsa")
    np.testing.assert_allclose(lsa(turned), turn @ lsa(PROMPT), atol=1e-12)
    assert np.abs(elsa(turned) - turn @ elsa(PROMPT)).max() > 1e-3


def test_the_order_of_the_blocks_is_the_model_s():
    model = model_of("elsa")
    swapped = PROMPT._replace(blocks={"B": PROMPT.blocks["B"], "A": PROMPT.blocks["A"]})
    np.testing.assert_array_equal(model(swapped), model(PROMPT))


@table(
    "changed, error, message",
    [
        ({"blocks": {"A": PROMPT.blocks["A"]}}, ValueError, r"BlockELSA: prompt must have the bl"),
        (
            {"blocks": {"A": PROMPT.blocks["A"], "B": jnp.zeros((BATCH, K, K + 1))}},
            ValueError,
            r"BlockELSA: blocks\['B'\] must have shape \(batch, 3, 3\), .* got \(4, 3, 4\)",
        ),
        (
            {"blocks": {"A": PROMPT.blocks["A"], "B": jnp.zeros((BATCH + 1, K, K))}},
            ValueError,
            r"BlockELSA: blocks\['A'\] must have shape .*one batch for all blocks",
        ),
    ],
)
def test_a_prompt_of_other_blocks_is_refused(changed, error, message):
    with pytest.raises(error, match=message):
        model_of("elsa")(PROMPT._replace(**changed))


def test_a_prompt_of_another_kind_is_refused_by_every_model():
    regression = tasks.LinearRegression(K, K).sample(jax.random.key(0), 2)
    with pytest.raises(TypeError, match=r"BlockLSA: prompt must be a tasks\.BlockPrompt, got Pr"):
        model_of("lsa")(regression)
    with pytest.raises(TypeError, match=r"LSAModel: prompt must be a tasks\.Prompt or GramPrompt"):
        models.LSAModel(K, K, rngs=nnx.Rngs(0))(PROMPT)


@table(
    "blocks, target, message",
    [
        ({}, (K, K), "blocks must hold at least one"),
        ({"out": (K, K)}, (K, K), "none called 'scratch' or 'out'"),
        ({"A": (K, 0)}, (K, K), r"A\[1\] must be"),
        ({"A": (K,)}, (K, K), "A must be two integers"),
        ({"A": (K, K)}, (K,), "target_shape must be two integers"),
    ],
)
def test_blocks_that_make_no_prompt_are_refused(blocks, target, message):
    with pytest.raises(ValueError, match=rf"BlockLSA: .*{message}"):
        models.BlockLSA(blocks, target, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("name", CLASSES)
def test_as_a_stack_between_blocks_it_gives_the_same_answers(name):
    model = model_of(name)
    stack = models.block_stack(model)
    one = {block: PROMPT.blocks[block][0] for block in "AB"}
    np.testing.assert_allclose(stack(**one)["out"], model(PROMPT)[0], atol=1e-12)
    with pytest.raises(ValueError, match=r"context_length of a .* is the 3 rows .*, got 4"):
        models.block_stack(model, 4)


def test_only_stacks_are_stacks_between_blocks():
    with pytest.raises(TypeError, match=r"block_stack: model must be an LSAModel, .*, got Merged"):
        models.block_stack(models.MergedAttention(K))
