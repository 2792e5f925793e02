"""Contexts cut from a table: rows of it, distinct, in uniformly random order."""

import dataclasses

import jax
import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import BATCH, assert_mean, sample

ROWS = 5
TABLE = tasks.Table(
    np.column_stack([np.arange(ROWS), 10.0 + np.arange(ROWS)]),
    100.0 + np.arange(ROWS),
    ("a", "b"),
    "c",
    "numbers",
)


@pytest.mark.parametrize("context_length", [1, 2, ROWS - 1])
def test_prompts_are_distinct_rows_each_ordered_pair_equally_likely(context_length):
    task = tasks.TableContexts.from_table(TABLE, context_length)
    prompt = sample(task, jax.random.key(0))
    x = np.concatenate([prompt.x, prompt.query_x[:, None]], axis=1)
    y = np.concatenate([prompt.y, prompt.query_y[:, None]], axis=1)
    index = x[..., 0].astype(int)
    np.testing.assert_array_equal(x[..., 1], 10.0 + index)
    np.testing.assert_array_equal(y, 100.0 + index)
    assert all(len(set(row)) == context_length + 1 for row in index[:500].tolist())
    pairs = np.zeros((BATCH, ROWS, ROWS))
    pairs[np.arange(BATCH), index[:, 0], index[:, -1]] = 1.0
    assert_mean(pairs, (1 - np.eye(ROWS)) / (ROWS * (ROWS - 1)))
    assert not task.has_gram


def test_real_data_is_cut_as_it_is():
    data = tasks.standardised(tasks.diabetes())
    task = tasks.TableContexts.from_table(data, 20)
    assert (task.dim, task.context_length) == (10, 20)
    prompt = sample(task, jax.random.key(1), 3)
    rows = {tuple(row) for row in np.column_stack([data.x, data.y]).tolist()}
    drawn = np.concatenate([prompt.x, np.asarray(prompt.y)[:, :, None]], axis=2)
    assert {tuple(row) for row in drawn.reshape(-1, 11).tolist()} <= rows


@table(
    "changed, error, message",
    [
        ({"context_length": ROWS}, ValueError, "must be below the number of rows 5, got 5"),
        ({"context_length": 0}, ValueError, "context_length must be at least 1"),
        ({"y": TABLE.y[1:]}, ValueError, r"y must have shape \(rows=5\), got \(4,\)"),
        ({"x": TABLE.x * np.nan}, ValueError, "TableContexts: x must be finite"),
    ],
)
def test_bad_tables_are_refused(changed, error, message):
    task = tasks.TableContexts.from_table(TABLE, 2)
    with pytest.raises(error, match=message):
        dataclasses.replace(task, **changed)
