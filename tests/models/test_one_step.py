import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
from tests.helpers import table
from tests.models.trained import SIZES, assert_close, filled, permuted, predict, prompt_of, steps

RNGS = nnx.Rngs(0)


def merged(d):
    return filled(models.MergedAttention(d, scale=0.5))


def low_rank(d):
    return filled(models.LowRankAttention(d, max(1, d - 1), max_rank=d, scale=0.5, rngs=RNGS))


def lora(d):
    base = np.random.default_rng(5).normal(size=(d, d))
    return filled(models.LoraAttention(base, max(1, d - 1), max_rank=d, scale=0.5, rngs=RNGS))


def weight_of(model, d):
    """W by the formulas of the docstrings, column by column."""
    if isinstance(model, models.MergedAttention):
        return 0.5 * np.asarray(model.weight[...])
    left, right = np.asarray(model.left[...]), np.asarray(model.right[...])
    found = np.zeros((d, d))
    for column in range(max(1, d - 1)):
        found += 0.5 * np.outer(left[:, column], right[:, column])
    if isinstance(model, models.LoraAttention):
        found += np.asarray(model.base_weight[...])
    return found


MODELS = {"merged": merged, "low_rank": low_rank, "lora": lora}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", SIZES)
def test_the_prediction_is_one_preconditioned_step(name, size):
    prompt, d = prompt_of(size), size[2]
    model = MODELS[name](d)
    assert_close(predict(model, prompt), steps(prompt, weight_of(model, d)))
    assert_close(model.preconditioner, weight_of(model, d))


@pytest.mark.parametrize("dim", [32, 33])
def test_the_form_for_small_and_for_large_dimensions_agrees_with_the_loop(dim):
    prompt, model = prompt_of((2, 3, dim)), merged(dim)
    assert_close(predict(model, prompt), steps(prompt, weight_of(model, dim)))


@pytest.mark.parametrize("name", MODELS)
def test_rows_gram_matrices_and_permuted_rows_give_the_same_prediction(name):
    prompt = prompt_of((3, 5, 3))
    model = MODELS[name](3)
    expected = predict(model, prompt)
    assert_close(predict(model, tasks.gram_prompt(prompt)), expected)
    assert_close(predict(model, permuted(prompt)), expected)


def test_training_starts_where_the_docstrings_say():
    prompt = prompt_of((2, 3, 2))
    np.testing.assert_array_equal(models.MergedAttention(2)(prompt), [0.0, 0.0])
    base = np.array([[1.0, 2.0], [3.0, 4.0]])
    model = models.LoraAttention(base, 2, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.preconditioner, base)
    spread = models.LowRankAttention(400, 4, rngs=nnx.Rngs(0)).left[...]
    # 1,600 normal numbers: their deviation is off by 1/sqrt(3200), 4 of which are 7 %
    assert float(spread.std()) == pytest.approx(400**-0.5, rel=0.07)


def test_a_masked_rank_equals_a_smaller_one():
    whole = filled(models.LowRankAttention(4, 2, max_rank=4, rngs=nnx.Rngs(0)))
    small = models.LowRankAttention(4, 2, rngs=nnx.Rngs(0))
    small.left[...], small.right[...] = whole.left[...][:, :2], whole.right[...][:, :2]
    prompt = prompt_of((2, 3, 4))
    assert_close(predict(whole, prompt), predict(small, prompt))
    assert np.linalg.matrix_rank(whole.preconditioner) == 2


def test_a_correction_of_rank_0_is_the_base_and_nothing_in_it_has_a_gradient():
    base = np.random.default_rng(0).normal(size=(3, 3))
    model = filled(models.LoraAttention(base, 0, max_rank=2, rngs=nnx.Rngs(0)))
    np.testing.assert_array_equal(model.preconditioner, base)
    prompt = prompt_of((2, 3, 3))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    slopes = jax.grad(lambda p: nnx.merge(graph, p, rest)(prompt).sum())(params)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slopes))
    empty = models.LoraAttention(base, 0, rngs=nnx.Rngs(0))
    assert_close(predict(empty, prompt), steps(prompt, base))


def test_the_rank_may_be_traced():
    prompt = prompt_of((2, 3, 3))

    @jax.vmap
    def predict(rank):
        return models.LowRankAttention(3, rank, max_rank=3, rngs=nnx.Rngs(0))(prompt)

    found = predict(jnp.array([1, 2, 3]))
    for index, rank in enumerate((1, 2, 3)):
        alone = models.LowRankAttention(3, rank, max_rank=3, rngs=nnx.Rngs(0))
        assert_close(found[index], np.asarray(alone(prompt)))


@pytest.mark.parametrize("rank", [1, jnp.int32(1), np.int32(1)])
def test_a_float32_model_is_float32_throughout_where_jax_computes_in_float64(rank):
    model = models.LowRankAttention(2, rank, max_rank=2, dtype="float32", rngs=nnx.Rngs(0))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {"float32"}
    assert model.preconditioner.dtype == np.float32


@table(
    "make, error, message",
    [
        (lambda: models.MergedAttention(0), ValueError, "MergedAttention: dim must be at least 1"),
        (
            lambda: models.MergedAttention(2, scale=0.0),
            ValueError,
            "scale must be finite and above 0",
        ),
        (lambda: models.MergedAttention(2, dtype=int), TypeError, "must be a floating-point type"),
        (
            lambda: models.LowRankAttention(2, 0, rngs=RNGS),
            ValueError,
            "max_rank must be at least 1",
        ),
        (
            lambda: models.LowRankAttention(2, 0, max_rank=2, rngs=RNGS),
            ValueError,
            "LowRankAttention: rank must be at least 1, got 0",
        ),
        (
            lambda: models.LowRankAttention(2, 2, max_rank=1, rngs=RNGS),
            ValueError,
            "rank must be at most max_rank=1, got 2",
        ),
        (
            lambda: models.LowRankAttention(2, jnp.int32(2), max_rank=1, rngs=RNGS),
            ValueError,
            "rank must be at most max_rank=1, got 2",
        ),
        (
            lambda: models.LowRankAttention(2, 3, rngs=RNGS),
            ValueError,
            "max_rank must be at most dim=2, got 3",
        ),
        (
            lambda: models.LowRankAttention(2, 1.5, rngs=RNGS),
            TypeError,
            "must be an integer, got 1.5",
        ),
        (
            lambda: models.LowRankAttention(2, 1, scale=-1.0, rngs=RNGS),
            ValueError,
            "scale must be finite and above 0",
        ),
        (
            lambda: models.LoraAttention(np.ones((2, 3)), 1, rngs=RNGS),
            ValueError,
            "base_weight must have shape",
        ),
        (
            lambda: models.LoraAttention(np.full((2, 2), np.nan), 1, rngs=RNGS),
            ValueError,
            "base_weight must be finite",
        ),
        (
            lambda: models.LoraAttention(np.eye(2), -1, rngs=RNGS),
            ValueError,
            "max_rank must be at least 0",
        ),
        (
            lambda: models.LoraAttention(np.eye(2), 1, scale=0.0, rngs=RNGS),
            ValueError,
            "scale must be finite and above 0",
        ),
    ],
)
def test_bad_arguments_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
