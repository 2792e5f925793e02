import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
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


def reference(model, prompt, taps):
    """scale sum_c out_c (q Wq)_c sum_i tap(n + 1 - i) (h_{i - shift} Wk)_c (h_i Wv)_c."""
    x, y, query = plain(prompt)
    wq, wk, wv, out = (np.asarray(leaf[...]) for leaf in (model.wq, model.wk, model.wv, model.out))
    found, n = np.zeros(len(x)), x.shape[1]
    for b in range(len(x)):
        rows = [np.append(x[b, i], y[b, i]) for i in range(n)]
        gate = np.append(query[b], 0.0) @ wq
        for i in range(n):
            if i < model.shift:
                continue
            key, value = rows[i - model.shift] @ wk, rows[i] @ wv
            for c in range(len(out)):
                found[b] += model.scale * out[c] * gate[c] * taps[n - 1 - i] * key[c] * value[c]
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0, 1, 7])
def test_h3_is_the_gated_convolution_of_its_docstring(size, shift):
    prompt, (_, n, d) = prompt_of(size), size
    model = filled(models.H3(d, n, shift=shift, scale=0.5, rngs=RNGS))
    expected = reference(model, prompt, np.asarray(model.filter.taps[...]))
    assert_close(predict(model, prompt), expected)
    assert (shift < n) == bool(np.any(expected))


@pytest.mark.parametrize("size", SIZES)
def test_h3_with_a_diagonal_state_space_uses_its_decaying_taps(size):
    prompt, (_, n, d) = prompt_of(size), size
    model = filled(models.H3(d, n, state_size=3, rngs=RNGS))
    decays, weights = (np.asarray(p[...]) for p in (model.filter.decays, model.filter.weights))
    taps = np.zeros(n)
    for lag in range(1, n + 1):
        for weight, decay in zip(weights, decays, strict=True):
            taps[lag - 1] += weight * (1 / (1 + np.exp(-decay))) ** (lag - 1)
    assert_close(model.filter(n), taps)
    assert_close(predict(model, prompt), reference(model, prompt, taps))


def test_the_half_lives_of_a_diagonal_filter_start_from_one_row_to_a_thousand():
    decays = np.asarray(models.DiagonalFilter(3).decays[...])
    half_lives = np.log(0.5) / np.log(1 / (1 + np.exp(-decays)))
    # the logarithm of a number near 1 loses three digits
    np.testing.assert_allclose(half_lives, [1.0, 1000**0.5, 1000.0], rtol=1e-10)
    assert float(models.DiagonalFilter(3)(1)[0]) == pytest.approx(1.0, rel=1e-15)


def test_a_long_filter_gives_the_taps_of_the_nearest_rows_and_all_start_at_one():
    held = models.LongFilter(3)
    np.testing.assert_array_equal(held(3), np.ones(3))
    held.taps[...] = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(held(2), [1.0, 2.0])
    with pytest.raises(ValueError, match="must have at most 3 rows, got 4"):
        held(4)


@pytest.mark.parametrize("size", SIZES)
def test_merged_h3_is_a_step_on_weighted_samples(size):
    prompt, (_, n, d) = prompt_of(size), size
    model = filled(models.MergedH3(d, n, scale=0.5))
    omega = np.asarray(model.filter.taps[...])[::-1]
    np.testing.assert_array_equal(model.sample_weights(n), omega)
    weight = 0.5 * np.asarray(model.weight[...])
    assert_close(predict(model, prompt), steps(prompt, weight, omega))
    assert_close(model.preconditioner, weight)


@pytest.mark.parametrize("state_size", [None, 2])
@pytest.mark.parametrize("size", SIZES)
def test_the_preconditioner_explains_the_part_of_h3_that_is_odd_in_the_labels(size, state_size):
    prompt, (_, n, d) = prompt_of(size), size
    model = filled(models.H3(d, n, state_size=state_size, scale=0.5, rngs=RNGS))
    expected = steps(prompt, np.asarray(model.preconditioner), np.asarray(model.sample_weights(n)))
    assert_close(odd_part(model, prompt), expected)


@pytest.mark.parametrize("name", ["h3", "merged_h3"])
def test_h3_sees_the_order_of_its_context_and_a_flat_filter_does_not(name):
    prompt = prompt_of((2, 4, 2))
    model = filled(models.build({"name": name, "dim": 2, "context_length": 4}, rngs=RNGS))
    apart = np.abs(predict(model, permuted(prompt)) - predict(model, prompt)).max()
    assert apart > 1e-2 * np.abs(predict(model, prompt)).max()
    model.filter.taps[...] = np.ones(4)
    assert_close(predict(model, permuted(prompt)), predict(model, prompt))


def test_a_shorter_context_padded_in_front_gives_the_same_prediction():
    prompt = prompt_of((2, 5, 2))
    short = prompt._replace(x=prompt.x[:, 2:], y=prompt.y[:, 2:])
    for model in (models.H3(2, 5, rngs=RNGS), models.MergedH3(2, 5)):
        model = filled(model)
        assert_close(predict(model, tasks.keep_last(prompt, 3)), predict(model, short))


@pytest.mark.parametrize("name", ["h3", "merged_h3"])
def test_gram_matrices_are_refused_because_rows_are_weighed_one_by_one(name):
    model = models.build({"name": name, "dim": 2, "context_length": 3}, rngs=RNGS)
    with pytest.raises(TypeError, match="needs the rows of the context, a Prompt; got a"):
        model(tasks.gram_prompt(prompt_of((2, 3, 2))))


@table(
    "make, error, message",
    [
        (lambda: models.LongFilter(0), ValueError, "LongFilter: length must be at least 1"),
        (lambda: models.DiagonalFilter(0), ValueError, "state_size must be at least 1"),
        (lambda: models.DiagonalFilter(1.5), TypeError, "state_size must be an integer"),
        (lambda: models.H3(0, 3, rngs=RNGS), ValueError, "H3: dim must be at least 1"),
        (lambda: models.H3(2, 0, rngs=RNGS), ValueError, "context_length must be at least 1"),
        (lambda: models.H3(2, 3, shift=-1, rngs=RNGS), ValueError, "shift must be at least 0"),
        (
            lambda: models.H3(2, 3, scale=0.0, rngs=RNGS),
            ValueError,
            "scale must be finite and above",
        ),
        (lambda: models.MergedH3(0, 3), ValueError, "MergedH3: dim must be at least 1"),
        (lambda: models.MergedH3(2, 3, scale=np.inf), ValueError, "scale must be finite and above"),
        (lambda: models.MergedH3(2, 0), ValueError, "length must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_h3_has_gradients_for_all_its_parameters():
    model = filled(models.H3(2, 3, rngs=RNGS))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    prompt = prompt_of((2, 3, 2))
    slopes = jax.grad(lambda p: nnx.merge(graph, p, rest)(prompt).sum())(params)
    assert all(np.any(leaf) and np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [0, 1, None])
@pytest.mark.parametrize("state_size", [None, 2])
def test_h3_of_pairs_is_h3_of_the_rows_that_count(size, length, state_size):
    prompt, (_, n, d) = prompt_of(size), size
    model = filled(models.H3(d, n, state_size=state_size, scale=0.5, rngs=RNGS))
    rows = prompt if length is None else tasks.keep_last(prompt, length)
    assert_close(predict(model, tasks.pair_prompt(prompt, length)), predict(model, rows))


def test_h3_refuses_pairs_that_do_not_fit():
    pairs = tasks.pair_prompt(prompt_of((2, 3, 2)))
    with pytest.raises(ValueError, match="PairPrompt has products within rows, and shift=1 mult"):
        models.H3(2, 3, shift=1, rngs=RNGS)(pairs)
    with pytest.raises(ValueError, match="model's d = 4 covariates, 10, 5 and 4, got 3, 3 and 2"):
        models.H3(4, 3, rngs=RNGS)(pairs)
    with pytest.raises(TypeError, match=r"MergedH3: prompt must be a .* CountedPrompt, got Pair"):
        models.MergedH3(2, 3, rngs=RNGS)(pairs)
