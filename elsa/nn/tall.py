"""Values with a row for each row of a stream, and their sums over rows.

Whatever linear attention makes of a row z_i of the source it makes by multiplying from the right
and adding: a tall value is Z M with a small matrix M, and a product that contracts over rows is

    (Z A)^T (Z B) = A^T G B,    G = Z^T Z.

So one pass over the rows, for G, serves any number of layers. `ByPass` forms Z A and Z B row by row
instead and sums their products, in a pass of its own for each layer that contracts: no G, whose
condition number is the square of Z's.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from elsa.base import matrices
from elsa.base.matrices import Matrix, Structured
from elsa.base.row_sums import product, require_finite, transposed_product
from elsa.base.rows import Rows, RowSource

FORMS = ("gram", "rows")
Pair = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Tall:
    """Z M, or its transpose: Z the rows of the source, a 1 after them.

    matrix: M, [columns of Z, width].
    flipped: whether the value is (Z M)^T.
    """

    matrix: np.ndarray
    flipped: bool = False

    @property
    def T(self) -> "Tall":  # noqa: N802, as in NumPy
        return Tall(self.matrix, not self.flipped)


class Sums:
    """A^T Z^T Z B for pairs of matrices, by the form asked for.

    Args:
      rows: the source; None counts passes, with numbers in the place of its sums.
      form: "gram" or "rows".
      kept: how many of the first rows are left out of all sums, and given back as they are.
      beside: numbers that stand beside every row, [rows, extra]; those of the kept are not used.
      width: columns of Z: those of the source, a 1, and those beside.

    Attributes:
      first: the kept rows of the source, after the first pass, [kept, columns].
      gram: Z^T Z without the kept rows, after the first pass.
      passes: so far.
    """

    def __init__(
        self,
        rows: Rows | None,
        form: str,
        width: int,
        *,
        kept: int = 0,
        beside: np.ndarray | None = None,
    ) -> None:
        self._rows, self.form, self._width, self._kept = rows, form, width, kept
        self._beside = beside
        self.gram = np.zeros((width, width))
        self.first = np.zeros((kept, width - 1 - (0 if beside is None else beside.shape[1])))
        self.passes = 0

    def start(self) -> None:
        """The first pass, where the form has one that is not for products: that of G."""
        if self.form == "gram":
            self.begin()

    def begin(self) -> None:
        """The first pass, if there was none."""
        if not self.passes:
            self._pass([])

    def of(self, pairs: Sequence[Pair]) -> list[np.ndarray]:
        """A^T Z^T Z B for each pair (A, B); those that are zero by A or B take no pass."""
        self.start()
        found = [np.zeros((a.shape[1], b.shape[1])) for a, b in pairs]
        needed = [i for i, (a, b) in enumerate(pairs) if a.any() and b.any()]
        if not needed:
            return found
        if self.form == "gram":
            sums = [pairs[i][0].T @ (self.gram @ pairs[i][1]) for i in needed]
        else:
            sums = self._pass([pairs[i] for i in needed])
        for i, total in zip(needed, sums, strict=True):
            found[i] = total
        return found

    def _pass(self, pairs: Sequence[Pair]) -> list[np.ndarray]:
        """One pass: the sums of the pairs, and, the first time, G and the kept rows."""
        self.passes += 1
        sums = [np.zeros((a.shape[1], b.shape[1])) for a, b in pairs]
        if self._rows is None:  # numbers that are zero where those of any rows are
            drawn = np.random.default_rng(0).normal(size=self.gram.shape)
            return [a.T @ drawn @ b for a, b in pairs]
        both = np.hstack([matrix for pair in pairs for matrix in pair]) if pairs else None
        begun, seen, gram = self.passes > 1, 0, np.zeros_like(self.gram)
        with np.errstate(over="ignore", invalid="ignore"):
            for piece in self._rows.pieces():
                if seen < self._kept:
                    here = piece[: self._kept - seen]
                    self.first[seen : seen + len(here)] = here
                row, piece = max(seen, self._kept), piece[max(0, self._kept - seen) :]
                seen = row + len(piece)
                z = self._widened(piece, row)
                if not begun:
                    gram += transposed_product(z, z)
                if both is not None:
                    values, place = product(z, both), 0
                    for total, (a, b) in zip(sums, pairs, strict=True):
                        middle, end = place + a.shape[1], place + a.shape[1] + b.shape[1]
                        total += transposed_product(values[:, place:middle], values[:, middle:end])
                        place = end
        require_finite(self._rows.where, np.concatenate([gram.ravel(), *map(np.ravel, sums)]))
        if not begun:
            self.gram = gram
        return sums

    def _widened(self, piece: np.ndarray, row: int) -> np.ndarray:
        """The rows with a 1, and what stands beside them."""
        parts = [piece, np.ones((len(piece), 1))]
        if self._beside is not None:
            parts.append(self._beside[row : row + len(piece)])
        return np.concatenate(parts, axis=1)


class TallBlock:
    """A block with a row for each row of the source, computed in blocks while it is read.

    Iterating gives arrays [k, width], one more pass over the source each time; it is itself a
    source of rows.

    Args:
      make: gives the source's rows, looked at.
      matrix: M of Z M.
      first: the first rows of the block, which are known.
      beside: as in `Sums`.
      dtype: of the blocks.
    """

    def __init__(
        self,
        make: Callable[[], Rows],
        matrix: np.ndarray,
        *,
        first: np.ndarray,
        beside: np.ndarray | None,
        dtype: np.dtype,
    ) -> None:
        self._make, self._matrix, self._first = make, matrix, first
        self._beside, self._dtype = beside, dtype

    def __iter__(self) -> Iterator[np.ndarray]:
        rows, known = self._make(), len(self._first)
        sums = Sums(rows, "rows", len(self._matrix), beside=self._beside)
        row = 0
        for piece in rows.pieces():
            block = product(sums._widened(piece, row), self._matrix)
            if row < known:
                block[: known - row] = self._first[row : row + len(block)]
            row += len(piece)
            yield block.astype(self._dtype)


def read_once(where: str, rows: RowSource, read: Rows, passes: int, why: str) -> None:
    """Refuses a source that can be read once where there are several passes.

    Raises:
      ValueError: saying how many there are, and why.
    """
    if passes > 1 and not read.is_again:
        raise ValueError(
            f"{where}: rows can be read once, and form='rows' takes {passes} passes ({why}); got "
            f"{type(rows).__name__}: give a function that makes a fresh one, or ask for form='gram'"
        )


class RowsMeetError(ValueError):
    """A product about pairs of rows, or a constant with numbers of its own for each row."""


class Size(NamedTuple):
    """Of Z: its rows, and its columns."""

    rows: int
    width: int


def multiplied(factors: Sequence[Any], contract: Callable[[Pair], np.ndarray], size: Size) -> Any:
    """The product of small matrices and tall values; None among them is the identity.

    Products that contract over rows come first, so that nothing is as wide as it is long. A matrix
    that meets a tall value along its rows, such as the ones of a mean, becomes tall values.

    Raises:
      RowsMeetError: for a product that has a row and a column for each row of the source, and a
        matrix that has other numbers for each row.
    """
    left: list[Any] = []
    for factor in (factor for factor in factors if factor is not None):
        before = left[-1] if left else None
        if isinstance(before, Tall) and before.flipped and not isinstance(factor, Tall):
            left += [value.T for value in reversed(_along(factor.T, size))]
        elif isinstance(factor, Tall) and not factor.flipped and _is_matrix(before):
            left[-1:] = [*_along(left[-1], size), factor]
        else:
            left.append(factor)
    while len(left) > 1:
        ranks = [_rank(a, b) for a, b in itertools.pairwise(left)]
        place = ranks.index(min(ranks))
        left[place : place + 2] = [_times(left[place], left[place + 1], contract)]
    return left[0]


def _is_matrix(value: Any) -> bool:
    return value is not None and not isinstance(value, Tall)


def _along(matrix: Matrix, size: Size) -> list[Any]:
    """A matrix with a column for each row of the source, as factors: c 1 1^T where it is that."""
    lines = as_tall(matrix, size.width, flipped=True)
    own = lines.matrix[-1]
    if not (own == own[:1]).all():
        return [lines]
    ones = np.zeros((size.width, 1))
    ones[-1] = 1.0
    if len(own) == size.rows > size.width:  # 1 has a row for each row of the source, too
        return [Tall(own[0] * ones), Tall(ones, flipped=True)]
    return [np.full((len(own), 1), own[0]), Tall(ones, flipped=True)]


def as_tall(matrix: Matrix, width: int, *, flipped: bool) -> Tall:
    """A matrix with a row (flipped: a column) for each row of the source, all the same, as a
    multiple of the 1 beside each row, the last column of Z.

    Raises:
      RowsMeetError: where they are not the same.
    """
    rows = matrix.T if flipped else matrix
    if isinstance(rows, Structured):
        same = not rows.entries.nnz and bool((rows.left == rows.left[:1]).all())
        line = rows.left[0] @ rows.right
    else:
        same, line = bool((rows == rows[:1]).all()), rows[0]
    if not same:
        raise RowsMeetError
    whole = np.zeros((width, rows.shape[1]))
    whole[-1] = line
    return Tall(whole, flipped)


def added(terms: Sequence[Any], width: int) -> Any:
    """The sum of values of one shape, at least one; constants beside tall ones become tall."""
    tall = [term for term in terms if isinstance(term, Tall)]
    if not tall:
        arrays = [np.asarray(term) for term in terms] if len(terms) > 1 else list(terms)
        return sum(arrays[1:], arrays[0])
    flipped = tall[0].flipped
    alike = [t if isinstance(t, Tall) else as_tall(t, width, flipped=flipped) for t in terms]
    if any(term.flipped != flipped for term in alike):
        raise RowsMeetError
    return Tall(sum((term.matrix for term in alike[1:]), alike[0].matrix), flipped)


def _rank(a: Any, b: Any) -> int:
    """When to multiply: over rows first, then small ones, then a tall one with a small one."""
    if isinstance(a, Tall) and isinstance(b, Tall):
        return 0 if a.flipped and not b.flipped else 3
    return 2 if isinstance(a, Tall) or isinstance(b, Tall) else 1


def _times(a: Any, b: Any, contract: Callable[[Pair], np.ndarray]) -> Any:
    if isinstance(a, Tall) and isinstance(b, Tall):
        if b.flipped or not a.flipped:
            raise RowsMeetError
        return contract((a.matrix, b.matrix))
    if isinstance(a, Tall):
        return Tall(a.matrix @ b)
    if isinstance(b, Tall):
        return Tall(b.matrix @ a.T, flipped=True)
    return matrices.product(a, b)
