"""Prompts outside the law of a task: what is moved, that labels follow, and what is refused."""

import jax
import numpy as np
import pytest

from elsa import tasks
from tests.tasks.helpers import COV_TASK, COV_X, SMALL, assert_mean, sample

PLAIN = tasks.LinearRegression(5, 2, 0.0)
KEY = jax.random.key(1)


def drawn(task, batch=2000):
    return jax.tree.map(np.asarray, sample(task, KEY, batch))


def test_what_a_linear_regression_says_by_its_fields_stays_one():
    base = tasks.LinearRegression(2, 5, 0.5, COV_X, COV_TASK)
    task = tasks.shifted(base, context_length=8, noise_var=0.25, covariate_scale=3.0)
    assert type(task) is tasks.LinearRegression and task.has_gram
    assert (task.context_length, task.noise_var) == (8, 0.25)
    np.testing.assert_allclose(task.cov_x, 9.0 * COV_X)
    np.testing.assert_allclose(task.root_x @ task.root_x, 9.0 * COV_X)
    np.testing.assert_array_equal(task.cov_task, COV_TASK)
    other = tasks.shifted(base, cov_x=np.diag([1.0, 4.0]), covariate_scale=2.0)
    np.testing.assert_allclose(other.cov_x, np.diag([4.0, 16.0]))
    np.testing.assert_allclose(tasks.shifted(PLAIN, covariate_scale=2.0).cov_x, 4.0 * np.eye(5))
    assert tasks.shifted(base) is base


def test_a_moved_query_has_the_label_that_its_own_weights_give_it():
    """Shifts one after the other are those at once; noiseless labels are linear in the rows."""
    at_once = tasks.shifted(PLAIN, query_scale=3.0, orthogonal_query=True, half_subspace=False)
    task = tasks.shifted(tasks.shifted(PLAIN, orthogonal_query=True), query_scale=3.0)
    prompt = drawn(task)
    for known, found in zip(drawn(at_once), prompt, strict=True):
        np.testing.assert_array_equal(known, found)
    inside = np.einsum("bnd,bd->bn", prompt.x, prompt.query_x)
    np.testing.assert_allclose(inside, 0.0, atol=1e-10)
    # an orthogonal query's label is independent of the context: w there has variance |query|^2
    assert_mean((prompt.query_x**2).sum(axis=1), 9.0 * (5 - 2))
    assert_mean(prompt.query_y**2, 9.0 * (5 - 2))
    assert_mean(prompt.y[:, 0] * prompt.query_y, 0.0)


def test_in_a_half_subspace_every_prompt_has_floor_of_half_the_dimensions():
    prompt = drawn(tasks.shifted(tasks.shifted(PLAIN, half_subspace=True), context_length=7), 500)
    rows = np.concatenate([prompt.x, prompt.query_x[:, None]], axis=1)
    labels = np.concatenate([prompt.y, prompt.query_y[:, None]], axis=1)
    assert set(np.linalg.matrix_rank(rows, tol=1e-8)) == {2}
    with_labels = np.concatenate([rows, labels[:, :, None]], axis=2)
    assert set(np.linalg.matrix_rank(with_labels, tol=1e-8)) == {2}
    assert_mean(np.einsum("bi,bj->bij", prompt.query_x, prompt.query_x), 2 / 5 * np.eye(5))


def test_a_config_gives_the_fields_of_the_regression_and_the_shifts_side_by_side():
    settings = {"name": "shifted_regression", "dim": 5, "context_length": 2, "noise_var": 0.0}
    found = drawn(tasks.build({**settings, "query_scale": 3.0}))
    for known, part in zip(drawn(tasks.shifted(PLAIN, query_scale=3.0)), found, strict=True):
        np.testing.assert_allclose(part, known, rtol=1e-12)
    with pytest.raises(KeyError, match=r"unknown field 'querry_scale'.* you mean 'query_scale'"):
        tasks.build({**settings, "querry_scale": 2.0})


def test_any_task_with_such_a_field_changes_length_and_noise():
    for name, task in SMALL.items():
        if name != "table":
            assert tasks.shifted(task, noise_var=0.7).noise_var == 0.7
        if name != "drift":
            assert tasks.shifted(task, context_length=4).context_length == 4
    with pytest.raises(ValueError, match=r"task_corr must have shape \(5, 5\), got \(4, 4\)"):
        tasks.shifted(SMALL["drift"], context_length=4)


@pytest.mark.parametrize(
    "task, shift, error, message",
    [
        ("drift", {"query_scale": 2.0}, TypeError, "query_scale cannot be changed of a Drift, "
         "which can change context_length and noise_var; a LinearRegression can change all"),
        ("table", {"noise_var": 2.0}, TypeError, "noise_var .* of a TableContexts, which can "
         "change context_length;"),
        ("retrieval", {"covariate_scale": 2.0}, TypeError, "covariate_scale .* of a Retrieval"),
        (None, {"context_length": 2}, TypeError, "context_length .* a NoneType, .* nothing;"),
        ("sphere", {"covariate_scale": 0.0}, ValueError, "covariate_scale must be finite and abo"),
        ("sphere", {"query_scale": -1.0}, ValueError, "query_scale must be finite and above 0"),
        ("sphere", {"half_subspace": 1}, TypeError, "half_subspace must be True or False, got 1"),
        ("sphere", {"cov_x": np.eye(3)}, ValueError, r"cov_x must have shape \(2, 2\)"),
        ("sphere", {"orthogonal_query": True}, ValueError, "context_length below the 2 dimensions "
         "of the covariates, got 5: the context spans them all"),
    ],
)  # fmt: skip
def test_a_shift_that_a_task_cannot_have_is_refused(task, shift, error, message):
    with pytest.raises(error, match=message):
        tasks.shifted(SMALL.get(task), **shift)


def test_what_no_shifted_regression_can_be_is_refused():
    with pytest.raises(TypeError, match="base must be a LinearRegression, got Retrieval"):
        tasks.ShiftedRegression(SMALL["retrieval"])
    with pytest.raises(ValueError, match="half_subspace needs dim of at least 2, got 1"):
        tasks.ShiftedRegression(tasks.LinearRegression(1, 2), half_subspace=True)
    with pytest.raises(ValueError, match="below the 2 dimensions of the covariates, got 2"):
        tasks.ShiftedRegression(PLAIN, orthogonal_query=True, half_subspace=True)
    with pytest.raises(ValueError, match="query_scale must be finite and above 0, got 0"):
        tasks.ShiftedRegression(PLAIN, query_scale=0)
