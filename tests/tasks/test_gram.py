"""Gram matrices drawn without rows have the distribution that rows give."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from elsa import tasks
from elsa.tasks.wishart import rows_asked
from tests.helpers import table, wide
from tests.tasks.helpers import (
    MEAN,
    WITH_GRAM,
    assert_mean,
    assert_same_mean,
    fast,
    gram_of_rows,
    sample_gram,
)

DIM, LONGEST = 4, 6
_ROOT = np.tril(np.full((DIM, DIM), -0.4)) + 1.3 * np.eye(DIM)
PROBLEMS = {
    "linear_regression": tasks.LinearRegression(
        DIM, LONGEST, 0.3, _ROOT @ _ROOT.T, _ROOT.T @ _ROOT, np.array([1.0, 0.0, -1.0, 0.5])
    ),
    "retrieval": tasks.Retrieval(DIM, LONGEST, 0.6, 0.3),
    "alignment": tasks.Alignment(DIM, LONGEST, 0.6, 0.3),
}


@functools.cache
def drawn(name, length):
    """Gram matrices of rows, and those drawn without: tests share them."""
    rows_key, gram_key = jax.random.split(jax.random.key(7))
    rows = gram_of_rows(PROBLEMS[name], rows_key, length)
    return rows, sample_gram(PROBLEMS[name], gram_key, length)


def functionals(prompt):
    """Scalars that see every block of the Gram matrix, the query, and their dependence."""
    gram, x = np.asarray(prompt.gram), np.asarray(prompt.query_x)
    p = np.einsum("bi,bi->b", x, gram[:, :-1, -1])
    step = np.einsum("bi,bij,bj->b", x, gram[:, :-1, :-1], gram[:, :-1, -1])
    eigenvalues = np.linalg.eigvalsh(gram)
    return {
        "first": gram[:, 0, 0],
        "cross": gram[:, 0, 1],
        "corner": gram[:, -1, -1],
        "largest eigenvalue": eigenvalues[:, -1],
        "smallest eigenvalue": np.maximum(eigenvalues[:, 0], 1e-9),
        "p": p,
        "p y": p * np.asarray(prompt.query_y),
        "two steps": step * np.asarray(prompt.query_y),
        "form": np.einsum("bi,bij,bj->b", x, gram[:, :-1, :-1], x),
    }


# one row, fewer rows than columns, as many as columns, more
of_lengths = pytest.mark.parametrize(
    "length, name",
    wide(
        itertools.product(range(1, LONGEST + 1), PROBLEMS),
        keep=[
            *((length, name) for length in (1, LONGEST) for name in PROBLEMS),
            *((3, "linear_regression"), (3, "alignment"), (DIM, "retrieval")),
        ],
    ),
)


@of_lengths
def test_gram_sampler_and_rows_agree_in_moments_and_distribution(name, length):
    rows, gram = drawn(name, length)
    assert_same_mean(rows.gram, gram.gram)
    assert_same_mean(rows.gram**2, gram.gram**2)
    assert_same_mean(rows.query_y**2, gram.query_y**2)
    known, found = functionals(rows), functionals(gram)
    assert_same_mean(known["p"] ** 2, found["p"] ** 2)
    for functional, values in known.items():
        assert_same_mean(values, found[functional])
        assert stats.ks_2samp(values, found[functional]).pvalue > 1e-3, functional


@of_lengths
def test_gram_matrices_have_the_rank_of_their_rows(name, length):
    gram = np.asarray(drawn(name, length)[1].gram)[:20]
    np.testing.assert_array_equal(gram, np.swapaxes(gram, 1, 2))
    assert np.all(np.linalg.matrix_rank(gram, tol=1e-9, hermitian=True) == min(length, DIM + 1))
    assert np.linalg.eigvalsh(gram).min() > -1e-10


@pytest.mark.parametrize("name", PROBLEMS)
def test_labels_without_noise_are_linear_in_the_covariates(name):
    """The label's row is a combination of the others, y^T y included; so is the query's label."""
    task = dataclasses.replace(PROBLEMS[name], noise_var=0.0)
    drawn = jax.tree.map(lambda part: part[:50], sample_gram(task, jax.random.key(1)))
    xx, xy = drawn.gram[:, :DIM, :DIM], drawn.gram[:, :DIM, DIM]
    weight = np.linalg.solve(xx, xy[:, :, None])[:, :, 0]
    label, query = (np.einsum("bi,bi->b", weight, known) for known in (xy, drawn.query_x))
    np.testing.assert_allclose(label, drawn.gram[:, DIM, DIM], rtol=1e-8)
    np.testing.assert_allclose(query, drawn.query_y, atol=1e-6)


@pytest.mark.parametrize("name", wide(["linear_regression", "alignment"], keep=["alignment"]))
def test_one_dimension_and_one_row_are_served(name):
    fields = {} if name == "linear_regression" else {"alignment": 0.5}
    task = type(PROBLEMS[name])(1, 1, noise_var=0.4, **fields)
    rows = gram_of_rows(task, jax.random.key(2))
    gram = sample_gram(task, jax.random.key(3))
    assert gram.gram.shape == (20_000, 2, 2)
    assert_same_mean(rows.gram, gram.gram)
    assert stats.ks_2samp(rows.gram[:, 0, 1], gram.gram[:, 0, 1]).pvalue > 1e-3


@pytest.mark.parametrize("x64", [True, False])
def test_a_million_rows_cost_nothing_and_have_the_right_moments(x64):
    """Given w the matrix is Wishart: mean n K, Var G_ij = n (K_ii K_jj + K_ij^2).

    The covariance of the task is 0 here, so that w is the mean and K is known.
    """
    n, cov = 10**6, np.array([[2.0, 0.5], [0.5, 1.0]])
    task = tasks.LinearRegression(2, 5, 0.5, cov, np.zeros((2, 2)), MEAN)
    scale = np.block([[cov, (cov @ MEAN)[:, None]], [(cov @ MEAN)[None], MEAN @ cov @ MEAN + 0.5]])
    with jax.enable_x64(x64):
        gram = sample_gram(task, jax.random.key(4), n).gram
        deviation = (np.asarray(gram, dtype=np.float64) - n * scale) / n**0.5
    assert gram.dtype == (np.float64 if x64 else np.float32)
    assert_mean(deviation, np.zeros((3, 3)))
    assert_mean(deviation**2, np.outer(np.diag(scale), np.diag(scale)) + scale**2)


@pytest.mark.parametrize("name", ["retrieval", "alignment"])
def test_a_million_rows_with_a_mean_concentrate_on_it(name):
    """Given query and w, X^T X / n tends to c I + m m^T, m the rows' mean, as n grows."""
    prompt = sample_gram(PROBLEMS[name], jax.random.key(5), 10**6)
    xx, xy = prompt.gram[:, :DIM, :DIM] / 1e6, prompt.gram[:, :DIM, DIM] / 1e6
    weight = np.linalg.solve(xx, xy[:, :, None])[:, :, 0]
    if name == "retrieval":
        mean, spread = 0.6 * prompt.query_x, 1 - 0.6**2
    else:
        mean, spread = 0.6 * weight * (0.6**2 * DIM + 1) ** 0.5, 1.0
    limit = spread * np.eye(DIM) + np.einsum("bi,bj->bij", mean, mean)
    size = 1 + (mean**2).sum(axis=1)  # fluctuations are of order |m|^2 / 1000
    assert np.max(np.abs(xx - limit) / size[:, None, None]) < 0.01
    noise = prompt.query_y - np.einsum("bi,bi->b", prompt.query_x, weight)
    assert_mean(noise**2, 0.3)


@pytest.mark.parametrize("name", wide(["linear_regression", "retrieval"], keep=["retrieval"]))
def test_a_static_length_and_a_traced_one_agree(name):
    task, key = PROBLEMS[name], jax.random.key(6)
    static = fast(lambda key: task.sample_gram(key, 500, np.int64(2)))(key)
    for known, found in zip(static, sample_gram(task, key, 2, batch=500), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", wide(["linear_regression", "retrieval"], keep=["retrieval"]))
def test_mapped_lengths_sample_what_each_samples_alone(name):
    task, key, lengths = PROBLEMS[name], jax.random.key(0), jnp.array([1, 50])
    together = fast(jax.vmap(lambda n: task.sample_gram(key, 500, n)))(lengths)
    for place, length in enumerate(lengths):
        for found, known in zip(together, sample_gram(task, key, length, batch=500), strict=True):
            np.testing.assert_allclose(found[place], known, rtol=1e-11, atol=1e-10)


def test_a_length_is_the_context_length_or_what_jax_numpy_and_python_hold():
    assert rows_asked("here", None, 4) == 4
    assert [rows_asked("here", n, 4) for n in (2, np.int32(2), jnp.asarray(2))] == [2, 2, 2]


@table(
    "length, error, message",
    [
        (0, ValueError, "sample_gram: length must be at least 1, got 0"),
        (2.5, TypeError, "length must be an integer, got 2.5"),
        (np.array([1, 2]), TypeError, "length must be an integer"),
    ],
)
@table("name", WITH_GRAM)
def test_bad_lengths_are_refused(name, length, error, message):
    with pytest.raises(error, match=message):
        WITH_GRAM[name].sample_gram(jax.random.key(0), 2, length)


def test_tasks_without_a_gram_sampler_say_what_to_do():
    task = tasks.Drift(2, 1, np.eye(2))
    assert not task.has_gram
    with pytest.raises(ValueError, match=r"Drift.sample_gram: .* use gram_prompt\(task.sample"):
        task.sample_gram(jax.random.key(0), 2)
