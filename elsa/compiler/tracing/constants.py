"""Constants of a step, one matrix for each variant: arrays, or large ones kept by their structure.

A small constant is an array [variants, rows, columns]; a large one that is made of few entries and
thin factors is `Varied`, and every function here takes both.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from elsa.base import matrices
from elsa.base.matrices import Matrix, Structured


@dataclasses.dataclass(frozen=True, eq=False)
class Varied:
    """Structured matrices of one shape: one for every variant, or a single one for all."""

    each: tuple[Structured, ...]
    variants: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(variants, rows, columns), as of an array."""
        return (self.variants, *self.each[0].shape)


Constant = np.ndarray | Varied


def constant_of(each: Sequence[Matrix], variants: int) -> Constant:
    """The constant of these matrices, one for each variant or one for all."""
    if not any(isinstance(matrix, Structured) for matrix in each):
        arrays = np.stack([np.asarray(matrix) for matrix in each])
        return np.ascontiguousarray(np.broadcast_to(arrays, (variants, *arrays.shape[1:])))
    return Varied(tuple(matrices.kept(matrix) for matrix in each), variants)


def matrices_of(constant: Constant) -> list[Matrix]:
    """Its matrices: one where all variants are the same."""
    if isinstance(constant, Varied):
        return list(constant.each)
    return list(constant if varies(constant) else constant[:1])


def matrix_of(constant: Constant, variant: int) -> Matrix:
    if isinstance(constant, Varied):
        return constant.each[variant if len(constant.each) > 1 else 0]
    matrix: np.ndarray = constant[variant]
    return matrix


def in_full(constant: Constant) -> np.ndarray:
    """The constant as an array [variants, rows, columns], for those that are thin."""
    each = [np.asarray(matrix) for matrix in matrices_of(constant)]
    return np.broadcast_to(np.stack(each), constant.shape)


def varies(constant: Constant) -> bool:
    """True where the numbers differ between variants."""
    if isinstance(constant, Varied):
        return len(constant.each) > 1
    return bool((constant != constant[:1]).any())


def transposed(constant: Constant) -> Constant:
    if isinstance(constant, Varied):
        return Varied(tuple(matrix.T for matrix in constant.each), constant.variants)
    return np.swapaxes(constant, 1, 2)


def multiplied(a: Constant, b: Constant) -> Constant:
    """A B, variant by variant."""
    entries = a.shape[1] * b.shape[2]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and entries <= matrices.SMALL:
        return a @ b
    return _variant_by_variant(matrices.product, a, b)


def summed(terms: Sequence[tuple[np.ndarray, Constant]]) -> Constant:
    """The sum of multiples, coefficients [variants]."""
    arrays = [c[:, None, None] * a for c, a in terms if isinstance(a, np.ndarray)]
    if len(arrays) == len(terms):
        total: np.ndarray = np.sum(arrays, axis=0)
        return total
    variants = len(terms[0][0])
    same = all((c == c[:1]).all() for c, _ in terms) and not any(varies(a) for _, a in terms)
    return constant_of(
        [
            matrices.added([(float(c[v]), matrix_of(constant, v)) for c, constant in terms])
            for v in range(1 if same else variants)
        ],
        variants,
    )


def identity_multiple(constant: Constant) -> np.ndarray | None:
    """c [variants] where the constant is c I in every variant, else None."""
    variants, rows, columns = constant.shape
    if rows != columns or rows == 0:
        return None
    if isinstance(constant, Varied):
        multiples = [_identity_multiple(matrix) for matrix in constant.each]
        if not all(multiples):
            return None
        return np.broadcast_to(np.array(multiples), (variants,)).astype(np.float64)
    diagonal = constant[:, 0, 0]
    same = np.array_equal(constant, diagonal[:, None, None] * np.eye(rows))
    return diagonal.copy() if same and diagonal.any() else None


def _identity_multiple(matrix: Structured) -> float:
    """c where the matrix is c I, else 0."""
    rows, columns = matrix.pattern
    numbers = matrix.entries.data
    diagonal = not matrix.rank and len(rows) == matrix.shape[0] and np.array_equal(rows, columns)
    return float(numbers[0]) if diagonal and (numbers == numbers[0]).all() else 0.0


def key_of(constant: Constant) -> tuple[object, ...]:
    """What equal constants have in common."""
    if isinstance(constant, Varied):
        return tuple(matrix.key for matrix in constant.each)
    return constant.shape, constant.tobytes()


def is_symmetric(constant: Constant) -> bool:
    """Whether it equals its transpose; of large ones, whether that is seen."""
    if constant.shape[1] != constant.shape[2]:
        return False
    if isinstance(constant, Varied):
        return all(_is_symmetric(matrix) for matrix in constant.each)
    return np.array_equal(constant, constant.swapaxes(1, 2))


def _is_symmetric(matrix: Structured) -> bool:
    left, right = matrix.left, matrix.right
    if matrix.rank > 1 or (matrix.entries != matrix.entries.T).nnz:
        return False
    if not matrix.rank:
        return True
    place = int(np.flatnonzero(left[:, 0])[0])
    return bool(np.array_equal(left[:, 0] * right[0, place], left[place, 0] * right[0]))


def is_zero(constant: Constant) -> bool:
    if isinstance(constant, Varied):
        return not any(matrix.stored for matrix in constant.each)
    return not constant.any()


def most_in_a_line(constant: Constant, axis: int) -> int:
    """The most entries in one of its rows (axis 1), or columns (axis 0)."""
    if isinstance(constant, Varied):
        return max(_most_in_a_line(matrix, axis) for matrix in constant.each)
    return int(np.count_nonzero(constant, axis=1 + axis).max())


def _most_in_a_line(matrix: Structured, axis: int) -> int:
    """Of a matrix with thin factors all entries of a line."""
    if matrix.rank:
        return matrix.shape[axis]
    counts = np.bincount(matrix.pattern[1 - axis], minlength=1)
    return int(counts.max())


def reached(constant: Constant, columns: np.ndarray) -> np.ndarray:
    """The rows [rows] with an entry in some of the columns given as truth values."""
    if isinstance(constant, Varied):
        reached_rows = [_reached(matrix, columns) for matrix in constant.each]
        return np.asarray(np.any(reached_rows, axis=0))
    through = (constant != 0).any(axis=0)
    some: np.ndarray = np.logical_or.reduce(through[:, columns], axis=1)
    return some


def _reached(matrix: Structured, columns: np.ndarray) -> np.ndarray:
    rows = (abs(matrix.entries) @ columns.astype(np.float64)) != 0
    met = (matrix.right[:, columns] != 0).any(axis=1)
    reached: np.ndarray = rows | (matrix.left[:, met] != 0).any(axis=1)
    return reached


def is_exact_factor(constant: Constant) -> bool:
    """Whether multiplying by its entries is exact: zeros and powers of two."""
    if isinstance(constant, Varied):
        return not any(m.rank for m in constant.each) and all(
            powers_of_two(m.entries.data) for m in constant.each
        )
    return powers_of_two(constant)


def powers_of_two(numbers: np.ndarray) -> bool:
    """Whether the numbers are zeros and powers of two."""
    mantissas = np.abs(np.frexp(numbers)[0])
    return bool(np.all((mantissas == 0.5) | (mantissas == 0.0)))


def _variant_by_variant(
    function: Callable[[Matrix, Matrix], Matrix], a: Constant, b: Constant
) -> Constant:
    left, right = matrices_of(a), matrices_of(b)
    count = max(len(left), len(right))
    pairs = zip(left * (count // len(left)), right * (count // len(right)), strict=True)
    return constant_of([function(x, y) for x, y in pairs], a.shape[0])
