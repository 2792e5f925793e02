import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
from elsa.base import arithmetic
from tests.helpers import table
from tests.models.trained import (
    SIZES,
    assert_close,
    filled,
    odd_part,
    permuted,
    plain,
    predict,
    prompt_of,
    steps,
)

RNGS = nnx.Rngs(0)


def weights(model):
    return (np.asarray(leaf[...]) for leaf in (model.wq, model.wk, model.wv))


def tokens(prompt, b):
    """Rows of one context, and the query's."""
    x, y, query = plain(prompt)
    return [np.append(x[b, i], y[b, i]) for i in range(x.shape[1])], np.append(query[b], 0.0)


def linear(model, prompt):
    """scale [(q Wq)(H Wk)^T (H Wv)]_label."""
    wq, wk, wv = weights(model)
    found = np.zeros(len(prompt.x))
    for b in range(len(found)):
        rows, query = tokens(prompt, b)
        for row in rows:
            found[b] += model.scale * ((query @ wq) @ (row @ wk)) * (row @ wv)[-1]
    return found


def softmax(model, prompt):
    """[softmax(q Wq (H Wk)^T / sqrt(p)) H Wv]_label."""
    wq, wk, wv = weights(model)
    found = np.zeros(len(prompt.x))
    for b in range(len(found)):
        rows, query = tokens(prompt, b)
        shares = np.exp([(query @ wq) @ (row @ wk) / wq.shape[1] ** 0.5 for row in rows])
        found[b] = sum(
            s * (row @ wv)[-1] for s, row in zip(shares / shares.sum(), rows, strict=True)
        )
    return found


@pytest.mark.parametrize("key_size", [None, 1])
@pytest.mark.parametrize("size", SIZES)
def test_linear_attention_is_the_label_channel_of_its_formula(size, key_size):
    prompt = prompt_of(size)
    model = filled(models.LinearAttention(size[2], key_size, scale=0.5, rngs=RNGS))
    assert_close(predict(model, prompt), linear(model, prompt))
    wq, wk, _ = weights(model)
    assert_close(model.query_key, 0.5 * wq @ wk.T)


@pytest.mark.parametrize("rows", [0, 12, 13])
def test_short_and_long_contexts_are_read_alike(rows):
    """Up to 4 m rows are read as they are; beyond, and in runs of before, their Gram matrix is."""
    prompt = prompt_of((3, rows, 2))
    model = filled(models.LinearAttention(2, scale=0.5, rngs=RNGS))
    with arithmetic.as_of(4):
        before = predict(model, prompt)
    assert_close(predict(model, prompt), linear(model, prompt))
    assert_close(before, linear(model, prompt))


@pytest.mark.parametrize("key_size", [None, 2])
@pytest.mark.parametrize("size", SIZES)
def test_softmax_attention_is_the_label_channel_of_its_formula(size, key_size):
    prompt = prompt_of(size)
    model = filled(models.SoftmaxAttention(size[2], key_size, rngs=RNGS))
    assert_close(predict(model, prompt), softmax(model, prompt))


@pytest.mark.parametrize("size", SIZES)
def test_the_preconditioner_explains_the_part_that_is_odd_in_the_labels(size):
    prompt = prompt_of(size)
    model = filled(models.LinearAttention(size[2], scale=0.5, rngs=RNGS))
    assert_close(odd_part(model, prompt), steps(prompt, np.asarray(model.preconditioner)))


@pytest.mark.parametrize("kind", [models.LinearAttention, models.SoftmaxAttention])
def test_the_order_of_the_context_does_not_matter(kind):
    prompt, model = prompt_of((2, 4, 2)), filled(kind(2, rngs=RNGS))
    assert_close(predict(model, permuted(prompt)), predict(model, prompt))


def test_a_gram_matrix_gives_the_same_prediction_as_its_rows():
    prompt, model = prompt_of((3, 5, 3)), filled(models.LinearAttention(3, rngs=RNGS))
    assert_close(predict(model, tasks.gram_prompt(prompt)), predict(model, prompt))


@pytest.mark.parametrize("kind", [models.LinearAttention, models.SoftmaxAttention])
def test_rows_that_are_masked_count_as_absent(kind):
    prompt, model = prompt_of((2, 5, 2)), filled(kind(2, rngs=RNGS))
    short = prompt._replace(x=prompt.x[:, 3:], y=prompt.y[:, 3:])
    assert_close(predict(model, tasks.keep_last(prompt, 2)), predict(model, short))


def test_softmax_attention_without_any_row_predicts_zero_with_finite_gradients():
    prompt = tasks.keep_last(prompt_of((2, 3, 2)), 0)
    graph, params, rest = nnx.split(filled(models.SoftmaxAttention(2, rngs=RNGS)), nnx.Param, ...)
    value, slopes = jax.value_and_grad(lambda p: nnx.merge(graph, p, rest)(prompt).sum())(params)
    assert value == 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_softmax_attention_needs_rows():
    with pytest.raises(TypeError, match="SoftmaxAttention needs the rows of the context"):
        models.SoftmaxAttention(2, rngs=RNGS)(tasks.gram_prompt(prompt_of((2, 3, 2))))


@pytest.mark.parametrize("kind", [models.LinearAttention, models.SoftmaxAttention])
def test_weights_start_normal_with_a_variance_of_one_over_the_channels(kind):
    model = kind(99, rngs=nnx.Rngs(3))
    for leaf in (model.wq, model.wk, model.wv):
        # 10,000 normal numbers: their deviation is off by 1/sqrt(20,000), 4 of which are 3 %
        assert float(leaf[...].std()) == pytest.approx(0.1, rel=0.03)


@table(
    "make, error, message",
    [
        (lambda: models.LinearAttention(0, rngs=RNGS), ValueError, "LinearAttention: dim must be"),
        (
            lambda: models.LinearAttention(2, 0, rngs=RNGS),
            ValueError,
            "key_size must be at least 1",
        ),
        (
            lambda: models.LinearAttention(2, 1.0, rngs=RNGS),
            TypeError,
            "key_size must be an integer",
        ),
        (
            lambda: models.LinearAttention(2, scale=0.0, rngs=RNGS),
            ValueError,
            "scale must be finite",
        ),
        (lambda: models.LinearAttention(2, dtype=int, rngs=RNGS), TypeError, "floating-point type"),
        (
            lambda: models.SoftmaxAttention(0, rngs=RNGS),
            ValueError,
            "SoftmaxAttention: dim must be",
        ),
        (
            lambda: models.SoftmaxAttention(2, 0, rngs=RNGS),
            ValueError,
            "key_size must be at least 1",
        ),
    ],
)
def test_bad_arguments_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
