"""Structured matrices against the arrays that they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa.base import matrices
from elsa.base.matrices import Structured

SIZES = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def every_matrix_is_large(monkeypatch):
    """Structure is kept however small a matrix is, and however little it gains."""
    monkeypatch.setattr(matrices, "SMALL", 0)
    monkeypatch.setattr(matrices, "_GAIN", 1e9)


def drawn(rng, rows, columns):
    """Some entries and a product of thin factors, either of them perhaps missing."""
    some = rng.random((rows, columns)) < rng.choice([0.0, 0.3, 1.0])
    places = np.nonzero(some)
    values = rng.normal(size=len(places[0]))
    made = matrices.kept(matrices.of_entries(values, *places, (rows, columns)))
    rank = rng.integers(0, 3)
    # A sparse U, so that some of its columns are equal, or zero.
    left = np.where(rng.random((rows, rank)) < 0.6, rng.choice([1.0, 2.0], (rows, rank)), 0.0)
    right = rng.normal(size=(rank, columns))
    thin = matrices.kept(matrices.product(left, right)) if rank else 0.0 * made
    both = matrices.added([(1.0, made), (1.0, thin)])
    assert isinstance(both, Structured)
    return both


@given(SIZES, SIZES, SIZES, SEEDS)
def test_products_sums_and_transposes_are_those_of_arrays(rows, inner, columns, seed):
    rng = np.random.default_rng(seed)
    a, b, c = drawn(rng, rows, inner), drawn(rng, inner, columns), drawn(rng, rows, inner)
    full_a, full_b, full_c = map(np.asarray, (a, b, c))
    block = rng.normal(size=(inner, 3))
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(matrices.product(a, b), full_a @ full_b, **close)
    np.testing.assert_allclose(matrices.product(a, block), full_a @ block, **close)
    np.testing.assert_allclose(matrices.product(block.T, b), block.T @ full_b, **close)
    np.testing.assert_allclose(a.T, full_a.T, **close)
    total = matrices.added([(2.0, a), (-0.5, c)])
    np.testing.assert_allclose(total, 2.0 * full_a - 0.5 * full_c, **close)
    mixed = matrices.added([(2.0, a), (-0.5, full_c)])
    np.testing.assert_allclose(mixed, 2.0 * full_a - 0.5 * full_c, **close)
    assert not matrices.kept(matrices.added([(1.0, a), (-1.0, a)])).entries.nnz


@given(SIZES, SIZES, SEEDS)
def test_entries_are_counted_as_they_are(rows, columns, seed):
    matrix = drawn(np.random.default_rng(seed), rows, columns)
    # U is not negative and V has no zeros, so that U V has no zero but where a row of U is.
    thin = matrix.left @ np.abs(matrix.right)
    filled = np.where(matrix.entries.toarray() != 0, np.asarray(matrix), thin) != 0
    assert matrix.count_nonzero() == matrices.count_nonzero(matrix, np.float64) == filled.sum()


@given(SIZES, SIZES, SEEDS)
def test_selections_diagonals_and_identities_are_what_they_say(rows, columns, seed):
    rng = np.random.default_rng(seed)
    places = rng.integers(-1, columns, rows)
    expected = np.where(places[:, None] >= 0, np.eye(columns)[places], 0.0)
    np.testing.assert_array_equal(matrices.selection(places, columns), expected)
    values = rng.normal(size=rows) * (rng.random(rows) < 0.7)
    np.testing.assert_array_equal(matrices.diagonal(values), np.diag(values))
    np.testing.assert_array_equal(matrices.identity(rows), np.eye(rows))
    array = rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.5)
    np.testing.assert_array_equal(matrices.structured(array), array)


def test_equal_matrices_have_equal_keys_and_others_have_not():
    a = matrices.of_entries([1.0, 2.0], np.array([0, 1]), np.array([1, 0]), (3, 3))
    same = matrices.of_entries([2.0, 1.0], np.array([1, 0]), np.array([0, 1]), (3, 3))
    other = matrices.of_entries([1.0, 2.5], np.array([0, 1]), np.array([1, 0]), (3, 3))
    moved = matrices.of_entries([1.0, 2.0], np.array([0, 2]), np.array([1, 0]), (3, 3))
    assert matrices.key_of(a) == matrices.key_of(same)
    assert len({matrices.key_of(m) for m in (a, other, moved, a.T)}) == 4
    assert matrices.key_of(np.array([[0.0]])) == matrices.key_of(np.array([[-0.0]]))


def test_what_is_no_gain_is_an_array(monkeypatch):
    monkeypatch.undo()
    size = int(matrices.SMALL**0.5)
    assert isinstance(matrices.identity(size), np.ndarray)
    large = matrices.identity(size + 1)
    assert isinstance(large, Structured) and large.stored == size + 1
    ones = np.ones((size + 1, 1))
    centring = matrices.added([(1.0, large), (-1.0 / len(ones), matrices.product(ones, ones.T))])
    assert isinstance(centring, Structured) and centring.stored == 3 * len(ones)
    np.testing.assert_allclose(
        matrices.product(centring, centring), np.asarray(centring), atol=1e-15
    )
    assert matrices.kept(matrices.product(centring, centring)).rank == 1
    groups = matrices.selection(np.arange(20 * size) % 20, 20)  # means of 20 groups
    means = matrices.product(groups, matrices.product(0.05 / size * np.eye(20), groups.T))
    assert isinstance(means, Structured) and means.rank == 20 and not means.entries.nnz
    rng = np.random.default_rng(0)
    full = rng.normal(size=(2 * size, 2 * size))
    assert matrices.structured(full) is full
    assert isinstance(matrices.product(full, full), np.ndarray)
    assert isinstance(
        matrices.added([(1.0, large), (1.0, full[: size + 1, : size + 1])]), np.ndarray
    )


def test_terms_that_cancel_leave_nothing():
    n = 200
    ones = np.ones((n, 1))
    mean = matrices.product(ones, ones.T / n)
    eye = matrices.identity(n)
    assert matrices.kept(matrices.added([(1.0, eye), (-1.0, mean), (1.0, mean)])).rank == 0
    thin = matrices.product(np.eye(n)[:, :2], np.ones((2, n)))
    assert matrices.kept(matrices.added([(1.0, thin), (-1.0, thin)])).rank == 0
