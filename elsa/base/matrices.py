"""Large constant matrices kept by what they are made of: few entries, and thin factors.

A matrix is S + U V: S sparse, U of few columns. So the identity, a selection of rows, a diagonal,
a band, ones and their sums and products take memory in proportion to their sides, not to their
product. Small matrices are plain arrays: every function here takes and returns either.
"""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

SMALL = 16_384  # entries up to which a matrix is an array
_GAIN = 0.25  # of its entries, from which on what a structured matrix is made of is no gain


@dataclasses.dataclass(frozen=True, eq=False)
class Structured:
    """S + U V in float64.

    entries: S [rows, columns], sparse, sorted, without zeros.
    left, right: U [rows, rank] and V [rank, columns].
    """

    entries: sparse.csr_array
    left: np.ndarray
    right: np.ndarray

    __array_ufunc__ = None  # so that `array @ structured` comes here

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.entries.shape
        return int(rows), int(columns)

    @property
    def rank(self) -> int:
        """Columns of U."""
        return int(self.left.shape[1])

    @property
    def stored(self) -> int:
        """Numbers that are kept."""
        return int(self.entries.nnz) + self.left.size + self.right.size

    @functools.cached_property
    def T(self) -> "Structured":  # noqa: N802, as in NumPy
        return _tidy(self.entries.T, self.right.T, self.left.T)

    @property
    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the entries of S, by rows."""
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.entries.indptr))
        return rows, np.asarray(self.entries.indices, dtype=np.int64)

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        """The product with an array of as many rows as this has columns, an array."""
        product: np.ndarray = self.entries @ other + self.left @ (self.right @ other)
        return product

    def __rmatmul__(self, other: np.ndarray) -> np.ndarray:
        return (self.T @ other.T).T

    def __rmul__(self, factor: float) -> "Structured":
        return _tidy(factor * self.entries, factor * self.left, self.right)

    def astype(self, dtype: DTypeLike) -> "Structured":
        """The numbers rounded to a precision."""
        entries = self.entries.astype(dtype)
        return Structured(entries, self.left.astype(dtype), self.right.astype(dtype))

    @property
    def numbers(self) -> np.ndarray:
        """Everything that is kept, in one line."""
        return np.concatenate([self.entries.data, self.left.ravel(), self.right.ravel()])

    @property
    def key(self) -> tuple[object, ...]:
        """What two equal matrices, kept alike, have in common."""
        arrays = (*self.pattern, self.entries.data, self.left, self.right)
        return "structured", self.shape, *(array.tobytes() for array in arrays)

    def count_nonzero(self) -> int:
        """Entries that are not zero, or may be: products of U and V are not taken to cancel."""
        if not self.rank:
            return int(self.entries.nnz)
        rows, columns = self.pattern
        here = self.entries.data + np.einsum("ik,ki->i", self.left[rows], self.right[:, columns])
        filled, across = self.left != 0, self.right != 0
        within = (filled[rows] & across[:, columns].T).any(axis=1)
        kinds, rows_alike = _kinds(filled)
        others, columns_alike = _kinds(across.T)
        meets = (kinds.astype(int) @ others.T.astype(int)) > 0
        outside = int(rows_alike @ meets @ columns_alike) - int(np.count_nonzero(within))
        return outside + int(np.count_nonzero(here))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        full: np.ndarray = self.entries.toarray() + self.left @ self.right
        return full if dtype is None else full.astype(dtype)


def _kinds(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different rows of truth values, and how many there are of each."""
    numbers = np.ascontiguousarray(np.packbits(lines, axis=1))
    _, first, count = np.unique(
        numbers.view(f"V{numbers.shape[1]}"), return_index=True, return_counts=True
    )
    return lines[first], count


Matrix = np.ndarray | Structured


def identity(size: int) -> Matrix:
    return selection(np.arange(size), size)


def selection(places: np.ndarray, size: int) -> Matrix:
    """Row i is unit vector `places[i]` of length `size`, or zero where that is -1."""
    (rows,) = np.nonzero(places >= 0)
    return of_entries(np.ones(len(rows)), rows, places[rows], (len(places), size))


def diagonal(values: np.ndarray) -> Matrix:
    every = np.arange(len(values))
    return of_entries(np.asarray(values, np.float64), every, every, (len(values),) * 2)


def of_entries(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> Matrix:
    """The matrix with `values` at (rows, columns), zero elsewhere."""
    if shape[0] * shape[1] <= SMALL:  # an array in the end, in a tenth of the time
        full = np.zeros(shape)
        np.add.at(full, (rows, columns), values)
        return full
    made = sparse.coo_array((np.asarray(values, np.float64), (rows, columns)), shape)
    return _smallest(_tidy(made, *_nothing(shape)))


def structured(array: np.ndarray) -> Matrix:
    """The array, by its entries where it is large and nearly all of it is zero."""
    if array.size <= SMALL or np.count_nonzero(array) > _GAIN * array.size / 4:
        return array
    return _tidy(sparse.csr_array(array), *_nothing(array.shape))


def product(a: Matrix, b: Matrix) -> Matrix:
    """A B; where that is much larger than A and B are, it is kept by them."""
    shape = a.shape[0], b.shape[1]
    entries = shape[0] * shape[1]
    thin = a.shape[1] * (shape[0] + shape[1])  # entries of both as arrays
    if isinstance(a, Structured) and isinstance(b, Structured) and _entries(a, b) <= thin:
        left = np.hstack([a.left, a.entries @ b.left])
        right = np.vstack([(a.right @ b.entries) + (a.right @ b.left) @ b.right, b.right])
        return _smallest(_tidy(a.entries @ b.entries, left, right))
    if entries > SMALL and thin < _GAIN * entries:
        return _tidy(sparse.csr_array(shape), np.asarray(a), np.asarray(b))
    return _full_product(a, b)


def _entries(a: Structured, b: Structured) -> int:
    """At most how many entries the product of the sparse parts has."""
    meeting = np.bincount(a.pattern[1], minlength=a.shape[1]) * np.diff(b.entries.indptr)
    return int(meeting.sum())


def _full_product(a: Matrix, b: Matrix) -> np.ndarray:
    full: np.ndarray = a @ b if isinstance(b, np.ndarray) else np.asarray(a) @ b
    return full


def added(terms: Sequence[tuple[float, Matrix]]) -> Matrix:
    """The sum of multiples of matrices of one shape."""
    parts = [c * matrix for c, matrix in terms]
    if not all(isinstance(part, Structured) for part in parts):
        full: np.ndarray = np.sum([np.asarray(part) for part in parts], axis=0)
        return full
    kept = [part for part in parts if isinstance(part, Structured)]
    entries = functools.reduce(operator.add, [part.entries for part in kept])
    left, right = np.hstack([p.left for p in kept]), np.vstack([p.right for p in kept])
    return _smallest(_tidy(entries, left, right))


def count_nonzero(matrix: Matrix, dtype: DTypeLike) -> int:
    """Entries that are not zero in a precision."""
    rounded = matrix.astype(dtype)
    if isinstance(rounded, Structured):
        return rounded.count_nonzero()
    return int(np.count_nonzero(rounded))


def key_of(matrix: Matrix) -> tuple[object, ...]:
    """What equal matrices, kept alike, have in common."""
    if isinstance(matrix, Structured):
        return matrix.key
    return matrix.shape, (np.ascontiguousarray(matrix) + 0.0).tobytes()  # no negative zeros


def kept(matrix: Matrix) -> Structured:
    """The matrix in this form, whether that is a gain or not."""
    if isinstance(matrix, Structured):
        return matrix
    return _tidy(sparse.csr_array(matrix), *_nothing(matrix.shape))


def _nothing(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((shape[0], 0)), np.zeros((0, shape[1]))


def _smallest(matrix: Structured) -> Matrix:
    """The matrix, or the array that it is, if that takes no more."""
    entries = matrix.shape[0] * matrix.shape[1]
    return np.asarray(matrix) if entries <= SMALL or matrix.stored > _GAIN * entries else matrix


def _tidy(entries: Any, left: np.ndarray, right: np.ndarray) -> Structured:
    """Entries in order and without zeros; equal columns of U, and then equal rows of V, as one."""
    sorted_entries = sparse.csr_array(entries, dtype=np.float64)
    sorted_entries.sum_duplicates()
    sorted_entries.eliminate_zeros()
    sorted_entries.sort_indices()
    left, right = _merged(left, right)
    turned_right, turned_left = _merged(right.T, left.T)
    return Structured(sorted_entries, turned_left.T + 0.0, turned_right.T + 0.0)


def _merged(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U V with equal columns of U as one, and none that is zero or meets a row of zeros."""
    sums: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for column, line in zip(left.T, right, strict=True):
        if column.any() and line.any():
            name = (column + 0.0).tobytes()
            sums[name] = (column, sums[name][1] + line if name in sums else line)
    shape = left.shape[0], right.shape[1]
    pairs = [(column, line) for column, line in sums.values() if line.any()]  # of what is left
    if not pairs:
        return _nothing(shape)
    columns, lines = zip(*pairs, strict=True)
    return np.stack(columns, axis=1), np.stack(lines)
