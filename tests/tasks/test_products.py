"""Products of random matrices as prompts of blocks."""

import jax
import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import assert_mean

K = 3


@pytest.mark.parametrize("factors", [2, 3])
def test_the_target_is_the_product_of_the_blocks_whose_mean_square_is_k(factors):
    task = tasks.Products(K, factors)
    prompt = task.sample(jax.random.key(0), 20_000)
    assert list(prompt.blocks) == list(task.blocks) == list("ABC"[:factors])
    blocks = [np.asarray(block) for block in prompt.blocks.values()]
    direct = np.stack([np.linalg.multi_dot(each) for each in zip(*blocks, strict=True)])
    np.testing.assert_allclose(prompt.target, direct, atol=1e-14)
    for block in blocks:
        assert_mean(block, 0.0)
        assert_mean(block**2, 1.0 / K)
    assert_mean(blocks[0] * blocks[1], 0.0)
    assert_mean((direct**2).sum(axis=(1, 2)), K)


def test_row_channels_tell_the_rows():
    prompt = tasks.Products(K, row_channels=True).sample(jax.random.key(0), 2)
    assert list(prompt.blocks) == ["A", "B", "rows"]
    np.testing.assert_array_equal(prompt.blocks["rows"], np.broadcast_to(np.eye(K), (2, K, K)))
    plain = tasks.Products(K).sample(jax.random.key(0), 2)
    np.testing.assert_array_equal(prompt.target, plain.target)


def test_it_offers_what_a_task_with_blocks_offers():
    task = tasks.Products(K)
    assert isinstance(task, tasks.BlockTask) and task.prompt_kind is tasks.BlockPrompt
    assert (task.dim, task.context_length, task.target_shape) == (K, K, (K, K))


@table(
    "fields, message",
    [
        ({"dim": 0}, "Products: dim must be"),
        ({"factors": 1}, "Products: factors must be .*2"),
        ({"factors": 9}, "Products: factors must be at most 8, got 9"),
    ],
)
def test_what_is_no_product_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        tasks.Products(**{"dim": K, **fields})


def test_it_cannot_be_shifted_reduced_or_cut():
    task = tasks.Products(K)
    prompt = task.sample(jax.random.key(0), 2)
    with pytest.raises(TypeError, match="of a Products, which can change nothing"):
        tasks.shifted(task, noise_var=0.1)
    with pytest.raises(TypeError, match=r"gram_prompt: prompt must be a Prompt, got BlockPrompt"):
        tasks.gram_prompt(prompt)
    with pytest.raises(TypeError, match=r"keep_last: prompt must be a Prompt, got BlockPrompt"):
        tasks.keep_last(prompt, 1)
