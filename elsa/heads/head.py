"""What a symbolic head is: three factors, each a sum of terms, and how it becomes dense weights.

A head is (H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv). A term reads channels of the prompt, H[:, c] M (the
weight F_c M), or writes constant rows, E_r M (a bias), with E_r = I_n[:, r] and F_c = I_m[:, c].
Weights are built in float64 NumPy and cast once, where they enter a module.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import DTypeLike

from elsa.base import checks, matrices
from elsa.base.matrices import Structured

_ALIGNMENT = 64  # bytes


class HeadWeights(NamedTuple):
    """Dense weights of one head, or of several along a leading axis: p inner channels.

    wq, wk: [m, p].  wv: [m, m].  bq, bk: [n, p].  bv: [n, m].
    """

    wq: np.ndarray
    wk: np.ndarray
    wv: np.ndarray
    bq: np.ndarray
    bk: np.ndarray
    bv: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """One summand of a factor: H[:, span] @ matrix where `axis` is "channels", E_span @ matrix
    where it is "rows"."""

    axis: Literal["channels", "rows"]
    span: range
    matrix: Float[np.ndarray, "span p"] | Structured

    def __post_init__(self) -> None:
        matrix = self.matrix
        checks.finite("head", weights=matrix.numbers if isinstance(matrix, Structured) else matrix)


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """One symbolic head: three factors, each a sum of terms, and the channels it writes.

    formula: what it computes, for listings.
    query, key: terms with matrices of width p.
    value: terms with matrices as wide as `into`.
    into: the channels the result lands in.
    """

    formula: str
    query: tuple[Term, ...]
    key: tuple[Term, ...]
    value: tuple[Term, ...]
    into: range

    @property
    def key_size(self) -> int:
        """p, the width of queries and keys."""
        return int(self.query[0].matrix.shape[1])

    @property
    def has_bias(self) -> bool:
        """True where a factor writes constant rows, which a bias-free head cannot."""
        return any(term.axis == "rows" for term in (*self.query, *self.key, *self.value))

    def dense(self, shape: tuple[int, int]) -> HeadWeights:
        """The six weight arrays for prompts of shape (n, m), float64."""
        return HeadWeights(*(array[0] for array in stack_dense([self], shape)))

    def num_nonzeros(self, dtype: DTypeLike) -> int:
        """Entries of the dense weights that are not zero in that precision, none of them made."""
        return sum(_nonzeros(terms, dtype) for terms in (self.query, self.key, self.value))


def num_parameters(heads: Sequence[Head], shape: tuple[int, int]) -> int:
    """Entries of the dense weights of the heads of one layer, padded to its inner size p."""
    n, m = shape
    key_size = max(head.key_size for head in heads)
    return len(heads) * (n + m) * (2 * key_size + m)


def stack_dense(
    heads: Sequence[Head], shape: tuple[int, int], dtype: np.dtype | type = np.float64
) -> HeadWeights:
    """The dense weights of the heads of one layer along a leading axis, keys padded with zeros.

    Only entries that a head has are written: of large arrays the rest is memory never touched.

    Raises:
      MemoryError: where they do not fit, with what takes as many rows.
    """
    (n, m), key_size = shape, max(head.key_size for head in heads)
    widths = {"q": key_size, "k": key_size, "v": m}
    try:
        made = {
            f"{kind}{factor}": _zeros((len(heads), size, width), np.dtype(dtype))
            for kind, size in (("w", m), ("b", n))
            for factor, width in widths.items()
        }
    except MemoryError as error:
        size = num_parameters(heads, shape) * np.dtype(dtype).itemsize
        raise MemoryError(
            f"the weights of a layer for prompts of {n} rows, biases of as many rows among them, "
            f"take {size / 1e9:,.0f} GB, which is more than there is; ridge_lsa_state has no "
            "biases, and a stack made for few rows takes any number that is read from a source: "
            "stack.streamed(..., any_length=True)"
        ) from error
    for number, head in enumerate(heads):
        keys, into = slice(0, head.key_size), slice(head.into.start, head.into.stop)
        factors = (("q", head.query, keys), ("k", head.key, keys), ("v", head.value, into))
        for factor, terms, columns in factors:
            for axis, kind in (("channels", "w"), ("rows", "b")):
                rows, block = _dense_sum(terms, axis)
                checks.in_range("head", dtype, weights=block)
                made[f"{kind}{factor}"][number, rows, columns] = block
    return HeadWeights(**made)


def _dense_sum(terms: Sequence[Term], axis: str) -> tuple[slice, np.ndarray]:
    """The terms of one axis added up in float64, and the rows where they stand."""
    of_axis = [term for term in terms if term.axis == axis]
    first = min((term.span.start for term in of_axis), default=0)
    last = max((term.span.stop for term in of_axis), default=0)
    total = np.zeros((last - first, terms[0].matrix.shape[1]))
    for term in of_axis:
        total[term.span.start - first : term.span.stop - first] += np.asarray(term.matrix)
    return slice(first, last), total


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros that begin where XLA's arrays do, at a multiple of 64 bytes: a CPU takes them as they
    are, without a copy."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _nonzeros(terms: Sequence[Term], dtype: DTypeLike) -> int:
    """Entries of a factor that are not zero; of large terms of other rows those of each."""
    count = 0
    for axis in ("channels", "rows"):
        of_axis = [term for term in terms if term.axis == axis]
        with np.errstate(over="ignore"):
            if any(isinstance(term.matrix, Structured) for term in of_axis):
                sums = (
                    matrices.added([(1.0, t.matrix) for t in of_axis if t.span == span])
                    for span in {term.span for term in of_axis}
                )
                count += sum(matrices.count_nonzero(total, dtype) for total in sums)
            else:
                count += matrices.count_nonzero(_dense_sum(terms, axis)[1], dtype)
    return count
