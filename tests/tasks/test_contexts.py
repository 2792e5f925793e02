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


def test_queries_of_other_rows_are_uniform_and_beside_contexts_of_the_table():
    others = {"query_x": -TABLE.x[:3], "query_y": -TABLE.y[:3]}
    task = dataclasses.replace(tasks.TableContexts.from_table(TABLE, 2), **others)
    prompt = sample(task, jax.random.key(0))
    index, queries = np.asarray(prompt.x[..., 0]), -np.asarray(prompt.query_y) - 100.0
    np.testing.assert_array_equal(-prompt.query_x[:, 0], queries)
    pairs = np.zeros((BATCH, ROWS, 3))
    pairs[np.arange(BATCH), index[:, 0].astype(int), queries.astype(int)] = 1.0
    assert_mean(pairs, np.full((ROWS, 3), 1 / (3 * ROWS)))
    assert (index[:, 0] != index[:, 1]).all()


def test_a_share_of_a_table_is_held_out_of_scale_and_contexts():
    """Rows kept and held out make up the table, on the scale of the kept ones."""
    given = {"name": "table", "context_length": 8, "held_out": 0.25}
    kept = tasks.build(given)
    held = tasks.build({**given, "queries": "held_out"})
    np.testing.assert_array_equal(kept.x, held.x)
    assert kept.query_x is None and len(kept.y) == 332 and len(held.query_y) == 110
    np.testing.assert_allclose(np.mean(kept.x, axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose([np.std(kept.y), *np.std(kept.x, axis=0)], 1.0)
    whole = tasks.standardised(tasks.diabetes()).x
    both = np.concatenate([kept.x, held.query_x])
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    np.testing.assert_allclose(np.sort(both, axis=0), np.sort(whole, axis=0), atol=1e-9)
    for bad, message in (
        ({"held_out": 1.0}, "held_out must be a share of the rows below 1, got 1.0"),
        ({"held_out": -0.1}, "held_out must be a share"),
        ({"context_length": 332}, "below the 332 rows that held_out=0.25 leaves of 442, got 332"),
        ({"queries": "all"}, "queries must be one of"),
        ({"held_out": 0.0, "queries": "held_out"}, "rows of query_x must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks.build({**given, **bad})


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
        ({"query_x": TABLE.x}, ValueError, "query_x and query_y go together, got only one"),
        ({"query_x": TABLE.x, "query_y": TABLE.y[1:]}, ValueError, r"query_y must have shape"),
        ({"query_x": TABLE.x[:, 1:], "query_y": TABLE.y}, ValueError, r"query_x must have shape"),
        ({"query_x": TABLE.x + np.inf, "query_y": TABLE.y}, ValueError, "query_x must be finite"),
        ({"query_x": TABLE.x[:0], "query_y": TABLE.y[:0]}, ValueError, "rows of query_x must be"),
    ],
)
def test_bad_tables_are_refused(changed, error, message):
    task = tasks.TableContexts.from_table(TABLE, 2)
    with pytest.raises(error, match=message):
        dataclasses.replace(task, **changed)
