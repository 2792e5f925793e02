"""Files as rows: the numbers as in memory, as often as asked, and what is wrong with a file."""

import numpy as np
import polars as pl
import pytest

from elsa import tasks
from tests.helpers import table

X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
NAMES = ["a", "b", "price"]


def frame(**columns):
    return pl.DataFrame({name: X[:, i] for i, name in enumerate(NAMES)} | columns)


def saved(folder, name, array):
    np.save(folder / name, array, allow_pickle=True)
    return folder / name


@table("block_rows", [1, 3, 10, 100])
def test_npy_rows_are_the_array(tmp_path, block_rows):
    for order in "CF":
        path = saved(tmp_path, "x.npy", np.asarray(X, order=order))
        rows = tasks.NpyRows(path, block_rows=block_rows)
        assert (rows.num_rows, rows.num_columns) == (10, 3)
        for _ in range(2):
            blocks = list(rows)
            assert {len(block) for block in blocks[:-1]} <= {block_rows}
            np.testing.assert_array_equal(np.concatenate(blocks), X)
            assert not isinstance(blocks[0], np.memmap)  # what a caller keeps holds no file


@table("block_rows", [1, 4, 10, 100])
def test_parquet_rows_are_the_columns_asked_for(tmp_path, block_rows):
    frame().write_parquet(tmp_path / "x.parquet", row_group_size=3)
    for columns in (None, ["price", "a"]):
        rows = tasks.ParquetRows(tmp_path / "x.parquet", columns, block_rows=block_rows)
        expected = X if columns is None else X[:, [2, 0]]
        assert rows.columns == (columns or NAMES) and rows.num_rows == 10
        for _ in range(2):
            got = np.concatenate(list(rows))
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, expected)
    assert repr(rows).endswith("x.parquet', 10 x 2)")


def test_parquet_columns_of_several_types_are_float64(tmp_path):
    frame(b=np.arange(10), price=X[:, 2].astype(np.float64)).write_parquet(tmp_path / "x.parquet")
    (block,) = tasks.ParquetRows(tmp_path / "x.parquet")
    assert block.dtype == np.float64
    np.testing.assert_array_equal(block[:, 1], np.arange(10))


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])
    return path


@table(
    "name, content, error, message",
    [
        ("x.npy", X, None, ""),
        ("flat.npy", X[0], ValueError, "flat.npy must hold an array with two axes .* got shape"),
        ("text.npy", X.astype(str), TypeError, "text.npy must hold real numbers"),
        ("complex.npy", X * 1j, TypeError, "must hold real numbers, got dtype complex64"),
        ("objects.npy", X.astype(object), ValueError, "must be a whole .npy file"),
    ],
)
def test_what_an_npy_file_must_hold(tmp_path, name, content, error, message):
    path = saved(tmp_path, name, content)
    if error is None:
        assert tasks.NpyRows(path).num_rows == 10
        with pytest.raises(ValueError, match=r"x.npy \(243 bytes\) must be a whole .npy file"):
            tasks.NpyRows(cut(path))
        return
    with pytest.raises(error, match=message):
        tasks.NpyRows(path)


def test_a_file_that_changes_between_passes_is_told(tmp_path):
    rows = tasks.NpyRows(saved(tmp_path, "x.npy", X))
    saved(tmp_path, "x.npy", X[:4])
    with pytest.raises(ValueError, match=r"held an array of shape \(10, 3\) and holds one of \(4,"):
        list(rows)
    cut(rows.path)
    with pytest.raises(ValueError, match="cut off"):
        list(rows)
    np.savez(tmp_path / "many.npz", X=X)
    with pytest.raises(ValueError, match=r"got an \.npz archive"):
        tasks.NpyRows(tmp_path / "many.npz")


@table(
    "columns, options, error, message",
    [
        (["a", "prize"], {}, KeyError, "column.*'prize'.*price"),
        ([], {}, ValueError, "columns must name each column once"),
        (["a", "a"], {}, ValueError, "columns must name each column once"),
        ("a", {}, TypeError, "columns must be a list of names, got 'a'"),
        (["a", 1], {}, TypeError, "columns must be a list of names"),
        (["a", "word"], {}, TypeError, "column 'word' of .* must hold numbers, got String"),
        (["yes"], {}, TypeError, "column 'yes' of .* must hold numbers, got Boolean"),
        (["a"], {"block_rows": 0}, ValueError, "block_rows must be at least 1"),
        (["hole"], {}, ValueError, "got nothing in column 'hole' of row 7 "),
    ],
)
def test_what_parquet_columns_must_be(tmp_path, columns, options, error, message):
    path = tmp_path / "x.parquet"
    hole = [None if i == 7 else float(i) for i in range(10)]
    frame(word=["w"] * 10, yes=[True] * 10, hole=hole).write_parquet(path)
    with pytest.raises(error, match=message):
        list(tasks.ParquetRows(path, columns, **({"block_rows": 3} | options)))


def test_files_that_are_none(tmp_path):
    frame().write_parquet(tmp_path / "x.parquet")
    (tmp_path / "text").write_text("a,b\n1,2\n")
    for kind in (tasks.NpyRows, tasks.ParquetRows):
        with pytest.raises(FileNotFoundError, match=r"path must be a file, got '.*missing'; there"):
            kind(tmp_path / "missing")
        with pytest.raises(IsADirectoryError, match="must be a file, got the folder"):
            kind(tmp_path)
        with pytest.raises(ValueError, match="must be a whole"):
            kind(tmp_path / "text")
        with pytest.raises(TypeError, match="path"):
            kind(3)
    with pytest.raises(ValueError, match="must be a whole Parquet file"):
        tasks.ParquetRows(cut(tmp_path / "x.parquet"))
