"""What a symbolic head is: three factors, each a sum of terms, and how it becomes dense weights.

A head is (H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv). A term reads channels of the prompt, H[:, c] M (the
weight F_c M), or writes constant rows, E_r M (a bias), with E_r = I_n[:, r] and F_c = I_m[:, c].
Weights are built in float64 NumPy and cast once, where they enter a module.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import DTypeLike

from elsa.base import checks


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
    matrix: Float[np.ndarray, "span p"]

    def __post_init__(self) -> None:
        checks.finite("head", weights=self.matrix)


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
        (n, m), p = shape, self.key_size
        wq, bq = _scatter(self.query, n, m, p)
        wk, bk = _scatter(self.key, n, m, p)
        wv, bv = _scatter(self.value, n, m, len(self.into))
        landing = np.eye(m)[self.into]
        return HeadWeights(wq, wk, wv @ landing, bq, bk, bv @ landing)

    def num_nonzeros(self, dtype: DTypeLike) -> int:
        """Entries of the dense weights that are not zero in that precision, none of them made."""
        return sum(_nonzeros(terms, dtype) for terms in (self.query, self.key, self.value))


def num_parameters(heads: Sequence[Head], shape: tuple[int, int]) -> int:
    """Entries of the dense weights of the heads of one layer, padded to its inner size p."""
    n, m = shape
    key_size = max(head.key_size for head in heads)
    return len(heads) * (n + m) * (2 * key_size + m)


def _nonzeros(terms: Sequence[Term], dtype: DTypeLike) -> int:
    """Of a factor; terms of one axis add up where they overlap."""
    found = 0
    for axis in ("channels", "rows"):
        own = [term for term in terms if term.axis == axis]
        if not own:
            continue
        first = min(term.span.start for term in own)
        last = max(term.span.stop for term in own)
        total = np.zeros((last - first, own[0].matrix.shape[1]))
        for term in own:
            total[term.span.start - first : term.span.stop - first] += term.matrix
        with np.errstate(over="ignore"):
            found += int(np.count_nonzero(total.astype(dtype)))
    return found


def _scatter(terms: Sequence[Term], n: int, m: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = np.zeros((m, width)), np.zeros((n, width))
    for term in terms:
        (weight if term.axis == "channels" else bias)[term.span] += term.matrix
    return weight, bias


def stack_dense(heads: Sequence[Head], shape: tuple[int, int]) -> HeadWeights:
    """The dense weights of the heads of one layer along a leading axis, keys padded with zeros."""
    key_size = max(head.key_size for head in heads)
    padded = []
    for head in heads:
        weights = head.dense(shape)
        pad = ((0, 0), (0, key_size - head.key_size))
        padded.append(
            weights._replace(
                **{name: np.pad(getattr(weights, name), pad) for name in ("wq", "wk", "bq", "bk")}
            )
        )
    return HeadWeights(*(np.stack(arrays) for arrays in zip(*padded, strict=True)))
