"""Prompts reduced to Gram matrices and cut to their last rows."""

import jax
import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import SMALL

RNG = np.random.default_rng(0)
PROMPT = tasks.Prompt(*(RNG.normal(size=size) for size in ((2, 5, 3), (2, 5), (2, 3), (2,))))


def test_the_gram_matrix_is_the_sum_over_the_context_of_covariates_and_label():
    found = tasks.gram_prompt(PROMPT)
    for gram, x, y in zip(found.gram, PROMPT.x, PROMPT.y, strict=True):
        rows = np.column_stack([x, y])
        np.testing.assert_allclose(gram, rows.T @ rows, rtol=1e-13)
    np.testing.assert_array_equal(found.query_x, PROMPT.query_x)
    np.testing.assert_array_equal(found.query_y, PROMPT.query_y)


@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_keep_last_zeroes_all_rows_but_the_last(length):
    kept = jax.jit(tasks.keep_last)(PROMPT, length)
    eager = tasks.keep_last(PROMPT, np.int32(length))
    for found, known in zip(kept, eager, strict=True):
        np.testing.assert_array_equal(found, known)
    np.testing.assert_array_equal(kept.x[:, : 5 - length], 0)
    np.testing.assert_array_equal(kept.y[:, : 5 - length], 0)
    np.testing.assert_array_equal(kept.x[:, 5 - length :], PROMPT.x[:, 5 - length :])
    np.testing.assert_array_equal(kept.y[:, 5 - length :], PROMPT.y[:, 5 - length :])
    short = PROMPT._replace(x=PROMPT.x[:, 5 - length :], y=PROMPT.y[:, 5 - length :])
    np.testing.assert_allclose(
        tasks.gram_prompt(kept).gram, tasks.gram_prompt(short).gram, rtol=1e-13
    )


def test_keep_last_maps_over_lengths():
    found = jax.vmap(lambda n: tasks.keep_last(PROMPT, n).y)(np.arange(6))
    for length in range(6):
        np.testing.assert_array_equal(found[length], tasks.keep_last(PROMPT, length).y)


@table(
    "length, error, message",
    [
        (6, ValueError, "keep_last: length must be at most n=5, got 6"),
        (-1, ValueError, "length must be at least 0, got -1"),
        (1.0, TypeError, "length must be an integer, got 1.0"),
        (True, TypeError, "length must be an integer, got True"),
    ],
)
def test_keep_last_refuses_lengths(length, error, message):
    with pytest.raises(error, match=message):
        tasks.keep_last(PROMPT, length)


@table(
    "part, message",
    [
        ({"y": PROMPT.y[:, 1:]}, r"y must have shape \(batch=2, n=5\), got \(2, 4\)"),
        ({"query_x": PROMPT.query_x[:1]}, r"query_x must have shape \(batch=2, d=3\)"),
        ({"x": PROMPT.x[0]}, "x must have 3 axes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(part, message):
    for reduce in (tasks.gram_prompt, lambda prompt: tasks.keep_last(prompt, 1)):
        with pytest.raises(ValueError, match=message):
            reduce(PROMPT._replace(**part))


@pytest.mark.parametrize("name", SMALL)
def test_every_task_says_its_sizes_and_samples_in_the_default_dtype(name):
    task = SMALL[name]
    for x64 in (True, False):
        with jax.enable_x64(x64):
            drawn = jax.eval_shape(lambda task: task.sample(jax.random.key(0), 7), task)
            shapes = [part.shape for part in drawn]
            assert shapes == [(7, task.context_length, task.dim), shapes[1], (7, task.dim), (7,)]
            assert shapes[1] == (7, task.context_length)
            assert {part.dtype for part in drawn} == {np.dtype("float64" if x64 else "float32")}
