"""Moments of retrieval, alignment and drift prompts against their formulas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import tasks
from elsa.base import arithmetic
from tests.helpers import table, wide
from tests.tasks.helpers import CORR, assert_mean, fast, gram_of_rows, sample, sample_gram


def drawn(task, seed=0):
    return jax.tree.map(np.asarray, sample(task, jax.random.key(seed)))


def outer(a, b):
    return np.einsum("bi,bj->bij", a, b)


@pytest.mark.parametrize("a", wide([0.0, 0.6, 1.0], keep=[0.0, 0.6]))
def test_retrieved_covariates_correlate_with_the_query_and_through_it(a):
    prompt, eye = drawn(tasks.Retrieval(4, 6, a, 0.3)), np.eye(4)
    assert_mean(outer(prompt.query_x, prompt.query_x), eye)
    assert_mean(outer(prompt.x[:, 0], prompt.x[:, 0]), eye)
    assert_mean(outer(prompt.x[:, 0], prompt.query_x), a * eye)
    assert_mean(outer(prompt.x[:, 0], prompt.x[:, 1]), a**2 * eye)
    assert_mean(prompt.y**2, np.full(6, 4.3))
    assert_mean(prompt.query_y**2, 4.3)


def test_aligned_covariates_point_along_the_task():
    """With t = |w|^2: E[x x^T] = (1 + a^2) I, E[x x'^T] = a^2 I, E[y^2] = m2 + a^2 m4 over k."""
    a, dim = 0.6, 4
    prompt = drawn(tasks.Alignment(dim, 6, a, 0.3))
    assert_mean(outer(prompt.x[:, 0], prompt.x[:, 0]), (1 + a**2) * np.eye(dim))
    assert_mean(outer(prompt.x[:, 0], prompt.x[:, 1]), a**2 * np.eye(dim))
    assert_mean(outer(prompt.x[:, 0], prompt.query_x), a**2 * np.eye(dim))
    k = a**2 * dim + 1
    square = (dim + a**2 * dim * (dim + 2)) / k + 0.3
    assert_mean(prompt.y**2, np.full(6, square))
    assert_mean(prompt.query_y**2, square)
    assert_mean(prompt.query_y, a * dim / k**0.5)


@pytest.mark.parametrize("length", [8, 9])
def test_labels_of_drift_are_those_of_the_drifting_weights(length):
    """Up to 4 d rows no weight vector is formed; beyond, and in runs of before, each row's is."""
    corr = tasks.autoregressive(length, 0.7)
    task = tasks.Drift(2, length, corr)
    found = drawn(task)
    with arithmetic.as_of(4):
        before = drawn(task)
    np.testing.assert_array_equal(found.x, before.x)
    np.testing.assert_allclose(found.y, before.y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.query_y, before.query_y, rtol=1e-5, atol=1e-5)


def test_a_sweep_over_correlations_forms_the_products_of_drift_once():
    def labels(rho):
        return tasks.Drift(2, 3, tasks.autoregressive(3, rho)).sample(jax.random.key(0), 5).y

    jaxpr = str(jax.make_jaxpr(jax.vmap(labels))(jnp.array([0.5, 0.9])))
    products = [line for line in jaxpr.splitlines() if "dot_general" in line]
    assert any("[5,4,4]" in line for line in products), products
    assert not any("[2,5,4,2]" in line or "[5,2,4,2]" in line for line in products), products


MOMENTS = {  # of which task: E[y^2], E[p y], E[p^2]
    "retrieval": (tasks.Retrieval(4, 6, 0.6, 0.3), 4.3, 67.2, 1654.464),
    "alignment": (tasks.Alignment(4, 6, 0.6, 0.3), 5.48032787, 113.516066, 3367.62416),
}


@pytest.mark.parametrize(
    "name, form",
    wide(
        itertools.product(MOMENTS, ["rows", "gram"]),
        keep=[("retrieval", "rows"), ("alignment", "gram")],
    ),
)
def test_the_step_of_gradient_descent_has_the_moments_of_the_closed_form(name, form):
    """E[y^2], E[p y] and E[p^2] for p = x^T X^T y (n = 6, d = 4, a = 0.6, s2 = 0.3)."""
    key = jax.random.key(6)
    task, label, cross, square = MOMENTS[name]

    prompt = {"gram": sample_gram, "rows": gram_of_rows}[form](task, key)
    p = jnp.einsum("bi,bi->b", prompt.query_x, prompt.gram[:, :4, 4])
    assert_mean(prompt.query_y**2, label)
    assert_mean(p * prompt.query_y, cross)
    assert_mean(p**2, square)


def test_drifting_weights_have_the_correlations_asked_for():
    """E[y_i y_j x_i.x_j] = C_ij d for i != j, since E (x_i.x_j)^2 = d; the query is the last."""
    dim = 4
    prompt = drawn(tasks.Drift(dim, 3, CORR, 0.3))
    x = np.concatenate([prompt.x, prompt.query_x[:, None]], axis=1)
    y = np.concatenate([prompt.y, prompt.query_y[:, None]], axis=1)
    assert_mean(y**2, np.full(4, dim + 0.3))
    assert_mean(x[:, 0, :] * y[:, :1], np.zeros(dim))
    for i, j in ((0, 1), (0, 3), (2, 3), (1, 3)):
        assert_mean(y[:, i] * y[:, j] * (x[:, i] * x[:, j]).sum(axis=1), CORR[i, j] * dim)
        assert_mean(outer(x[:, i], x[:, j]), np.zeros((dim, dim)))


def test_the_risk_of_sample_weights_on_a_drifting_task_is_the_closed_form():
    """n = 3, d = 4, rho = 0.8, s2 = 0.3, weights (.05, .1, .2): 3.8374."""
    prompt = drawn(tasks.Drift(4, 3, CORR, 0.3), seed=1)
    weights = np.array([0.05, 0.1, 0.2])
    found = np.einsum("bd,bnd,n,bn->b", prompt.query_x, prompt.x, weights, prompt.y, optimize=True)
    assert_mean((prompt.query_y - found) ** 2, 3.8374)


def test_a_singular_correlation_is_one_weight_vector_for_all_rows():
    """n = 3 rows and the query of d = 4: E[p y] = n d as without drift, p = x^T X^T y."""
    task = tasks.Drift(4, 3, np.ones((4, 4)), 0.0)
    np.testing.assert_allclose(task.root, np.full((4, 4), 0.5), atol=1e-7)
    prompt = drawn(task)
    p = np.einsum("bd,bnd,bn->b", prompt.query_x, prompt.x, prompt.y, optimize=True)
    assert_mean(p * prompt.query_y, 12.0)


@pytest.mark.parametrize("rho", [0.0, 0.8, -0.5, 1.0])
def test_autoregressive_is_rho_to_the_distance(rho):
    found = tasks.autoregressive(2, rho)
    expected = np.array([[1, rho, rho**2], [rho, 1, rho], [rho**2, rho, 1]])
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    traced = fast(lambda r: tasks.autoregressive(2, r))(rho)
    np.testing.assert_allclose(traced, expected, rtol=1e-15)
    if rho:
        slope = jax.jacfwd(lambda r: tasks.autoregressive(2, r))(rho)
        np.testing.assert_allclose(slope[0], [0, 1, 2 * rho], rtol=1e-15)


def test_a_traced_correlation_is_factored_by_jax():
    def labels(rho):
        return tasks.Drift(2, 3, tasks.autoregressive(3, rho)).sample(jax.random.key(0), 4).y

    np.testing.assert_allclose(fast(labels)(0.8), fast(lambda: labels(0.8))(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"task_corr must have shape \(4, 4\), got \(3, 3\)"):
        jax.jit(lambda rho: tasks.Drift(2, 3, tasks.autoregressive(2, rho)).root)(0.8)


@table(
    "make, error, message",
    [
        (lambda: tasks.Retrieval(2, 3, 1.1), ValueError, "alignment must be at most 1, got 1.1"),
        (lambda: tasks.Retrieval(2, 3, -0.1), ValueError, "alignment must be at least 0"),
        (lambda: tasks.Retrieval(2, 3, np.nan), ValueError, "alignment must be finite"),
        (lambda: tasks.Retrieval(2, 0, 0.5), ValueError, "context_length must be at least 1"),
        (lambda: tasks.Alignment(2, 3, -1.0), ValueError, "Alignment: alignment must be at least"),
        (lambda: tasks.Alignment(2.5, 3, 1.0), TypeError, "dim must be an integer"),
        (
            lambda: tasks.Alignment(2, 3, np.ones(2)),
            ValueError,
            "alignment must be a single number",
        ),
        (lambda: tasks.Drift(2, 3, np.eye(3)), ValueError, r"task_corr must have shape \(4, 4\)"),
        (lambda: tasks.Drift(2, 1, 2 * np.eye(2)), ValueError, "ones on its diagonal, got 2"),
        (
            lambda: tasks.Drift(2, 1, np.array([[1, 2], [2, 1]])),
            ValueError,
            "task_corr must be positive semidefinite, got an eigenvalue of -1",
        ),
        (lambda: tasks.Drift(2, 1, np.eye(2), -1), ValueError, "noise_var must be at least 0"),
        (lambda: tasks.autoregressive(0, 0.5), ValueError, "context_length must be at least 1"),
        (lambda: tasks.autoregressive(2, 1.5), ValueError, "correlation must be from -1 to 1"),
        (lambda: tasks.autoregressive(2, np.nan), ValueError, "correlation must be finite"),
        (
            lambda: tasks.autoregressive(2, np.ones(2)),
            ValueError,
            "correlation must be a single number",
        ),
    ],
)
def test_bad_fields_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
