"""Rows that come in blocks: what a block may be, what is refused and how, and sums over pieces."""

import io
from fractions import Fraction

import jax
import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from elsa.base import row_progress, row_sums
from elsa.base.rows import Rows
from tests.helpers import table

X = np.arange(12.0).reshape(6, 2) - 5.0


def read(source, **options):
    return np.concatenate([np.zeros((0, 2)), *Rows("f", source, **options).pieces()])


class Again:
    """An iterable that makes a fresh iterator each time."""

    def __iter__(self):
        return iter([X[:4], X[4:]])


@table(
    "source, again",
    [
        (X, True),
        (jax.numpy.asarray(X), True),
        ([X[:1], X[1:1], X[1:]], True),
        (iter([X[:2], X[2:]]), False),
        ((block for block in [X]), False),
        (lambda: iter([X[:3], X[3:]]), True),
        (Again(), True),
        ([(X[:, 0], X[:, 1])], True),
        ([(X[:, :1], X[:, 1])], True),
        (polars.DataFrame(X), True),
        ([polars.DataFrame(X[:2]), polars.DataFrame(X[2:])], True),
        ([(polars.DataFrame(X[:, :1]), polars.Series(X[:, 1]))], True),
        ([X.astype(np.int8)], True),
        ([X.astype(np.float32).tolist()], True),
    ],
)
def test_sources(source, again):
    assert Rows("f", source).is_again is again
    np.testing.assert_array_equal(read(source), X)


NAN, FLOAT32 = np.where(X == 1.0, np.nan, X), X.astype(np.float32)


@table(
    "source, error, message",
    [
        ("rows.npy", TypeError, "f: rows must be blocks of rows, got the path 'rows.npy'; tasks.N"),
        (polars.DataFrame(X).lazy(), TypeError, r"f: rows .* \(LazyFrame\); .collect\(\) makes it"),
        (
            polars.DataFrame({"a": ["x"]}),
            TypeError,
            "f: rows must hold real numbers, got dtype obj",
        ),
        (polars.Series([1.0]), ValueError, r"f: rows must have 2 axes \(n, m\), got shape \(1,\)"),
        (5, TypeError, "f: rows must be an array, an iterable of blocks .* got 5"),
        ({"X": X}, TypeError, "f: rows must be an array"),
        (X[0], ValueError, "rows must have 2 axes"),
        (lambda: None, TypeError, "the function given as rows must return an iterable .* got None"),
        (
            [X] * 6 + [X[:, :1]],
            ValueError,
            r"block 7 of rows must have 2 columns, as the first has",
        ),
        ([X, X[0]], ValueError, r"block 2 of rows must have two axes \(rows, columns\), got shape"),
        ([X, FLOAT32], TypeError, "block 2 of rows must have the dtype float64 .* got float32"),
        ([X, NAN], ValueError, "got nan in column 0 of row 9 .row 3 of block 2; both count from 0"),
        ([np.full((1, 2), -np.inf)], ValueError, "got -inf in column 0 of"),
        ([X.astype(str)], TypeError, "block 1 of rows must hold real numbers"),
        ([X > 0], TypeError, "block 1 of rows must hold real numbers, got dtype bool"),
        ([X * 1j], TypeError, "block 1 of rows must hold real numbers"),
        ([None], TypeError, "block 1 of rows must hold real numbers"),
        ([(X, X[:3])], ValueError, "block 1 of rows must be a tuple of arrays with the same rows"),
        ([()], ValueError, "block 1 of rows must be a tuple of arrays"),
        ([], ValueError, "rows must have at least one row, got 0 blocks and no rows"),
        ([X[:0], X[:0]], ValueError, "at least one row, got 2 blocks and no rows; an iterator"),
    ],
)
def test_refusals(source, error, message):
    with pytest.raises(error, match=message):
        read(source)


def test_a_block_of_other_columns_is_told_which_there_should_be():
    with pytest.raises(ValueError, match=r"must have 3 columns \(2 of X, 1 of y\), got shape \(6"):
        read(X, columns=3, what="2 of X, 1 of y")


def test_an_iterator_given_twice_and_a_function_that_returns_one_are_told_from_data():
    blocks = iter([X])
    read(blocks)
    with pytest.raises(ValueError, match="an iterator that was read before gives nothing"):
        read(blocks)
    left = [[X, X], [X]]
    rows = Rows("f", lambda: left.pop(0))
    list(rows.pieces())
    with pytest.raises(ValueError, match="12 rows in the first pass and 6 in another"):
        list(rows.pieces())


def test_an_error_of_the_source_and_ctrl_c_come_through_and_the_source_is_left_closed():
    closed = []

    def source(error):
        try:
            yield X
            raise error
        finally:
            closed.append(error)

    for error in (OSError("the disk"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            read(source(error))
    assert len(closed) == 2


def test_rows_cannot_be_traced():
    with pytest.raises(TypeError, match="which jax cannot trace"):
        jax.jit(lambda x: read(x))(X)


def test_a_long_pass_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(row_progress, "_LOG_SECONDS", 0.0)
    screen = Console(file=io.StringIO(), width=80)
    np.testing.assert_array_equal(read([X[:4], X[4:]], screen=screen), X)
    lines = screen.file.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["f: 4 rows", "f: 6 rows"]
    assert all(line.endswith("rows/s") for line in lines)
    watched = Console(file=io.StringIO(), force_terminal=True, width=80)
    np.testing.assert_array_equal(read([X[:4], X[4:]], screen=watched), X)
    assert "rows" in watched.file.getvalue()


@given(
    n=st.integers(1, 900),
    a=st.integers(1, 20),
    b=st.integers(1, 20),
    wide=st.booleans(),
)
def test_products_by_batches_are_those_of_numpy(n, a, b, wide):
    rng = np.random.default_rng(n)
    left, right = rng.normal(size=(n, a)), rng.normal(size=(n, 200 if wide else b))
    small = rng.normal(size=(a, b))
    expected = np.einsum("ni,nj->ij", left, right)
    np.testing.assert_allclose(row_sums.transposed_product(left, right), expected, atol=1e-11)
    np.testing.assert_allclose(row_sums.product(left, small), left @ small, atol=1e-12)


def test_moments_far_from_zero_are_those_of_exact_arithmetic():
    """Columns at 1e8 with a spread of 1: sum z^2 - n mean^2 would lose all digits."""
    z = np.random.default_rng(0).integers(-4, 5, (50, 2)) + 1e8
    got = row_sums.moments(Rows("f", [z[:7], z[7:8], z[8:]]))
    exact = [[Fraction(int(v)) for v in column] for column in z.T]
    means = [sum(column) / len(z) for column in exact]
    scatter = [
        [
            float(sum((p - m) * (q - k) for p, q in zip(a, b, strict=True)))
            for b, k in zip(exact, means, strict=True)
        ]
        for a, m in zip(exact, means, strict=True)
    ]
    assert got.num_rows == 50
    np.testing.assert_allclose(got.mean, [float(m) for m in means], rtol=1e-15)
    np.testing.assert_allclose(got.scatter, scatter, rtol=1e-7)  # 1e8 rounds to 1e-8


def test_products_beyond_float64_are_refused():
    with pytest.raises(ValueError, match="f: rows must be small enough for their products"):
        row_sums.moments(Rows("f", [X * 1e200]))
