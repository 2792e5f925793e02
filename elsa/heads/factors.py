"""The head table: from places in a prompt to the three factors of a head, (query, key, value).

With E_r = I_n[:, r] and F_c = I_m[:, c] for rows r and channels c of a block, a scale s, and L, M,
R constants, or the identity, a head's queries are one of two, and its keys and values one of four:

    keys             Bk = E      Bk = E_b       Wk = F_b       Wk = F_b
    values           Bv = E R    Wv = F_b R     Bv = E_b R     Wv = F_c R
    queries
    Bq = s E_r' L    s L R       s L B R        s L B^T R      s L B^T C R      to any rows r'
    Wq = s F_a M     s A M R     s A M B R      s A M B^T R    s A M B^T C R    to the rows of A

All values end in F_c'^T, the channels of the target. E is as many rows of the prompt as R has, any
will do. Hagiwara (arXiv:2503.23814), Properties 2 to 4.
"""

from collections.abc import Mapping
from typing import NamedTuple

from elsa.base.matrices import Matrix, identity
from elsa.heads.head import Term
from elsa.prompts.layout import Box

Terms = tuple[Term, ...]
Blocks = Mapping[Box, float]
"""A sum of multiples of blocks that have the same rows and the same width."""
Operand = tuple[Blocks, bool]
"""Blocks, and whether their transpose enters."""


class Factors(NamedTuple):
    """The terms of queries, keys and values."""

    query: Terms
    key: Terms
    value: Terms


def of(
    query: Terms,
    *operands: Operand,
    left: Matrix | None = None,
    right: Matrix | None = None,
    over: range = range(0),
) -> Factors:
    """The factors of a head, by its queries and the operands that its keys and values read.

    Args:
      query: by `rows` or by `channels`.
      operands: none, B, its transpose, or B^T and C.
      left: a constant in front of B that the keys hold, Bk = E_b left^T.
      right: R.
      over: the rows E where there is no operand.
    """
    turned = left if left is None else left.T
    match operands:
        case ():
            return Factors(query, rows(over, turned), rows(over, right))
        case ((blocks, False),):
            return Factors(query, rows(_rows_of(blocks), turned), channels(blocks, right))
        case ((blocks, True),):
            return Factors(query, channels(blocks, turned), rows(_rows_of(blocks), right))
        case ((first, True), (second, False)):
            return Factors(query, channels(first, turned), channels(second, right))
    raise AssertionError(f"no line of the table: {[flipped for _, flipped in operands]}")


def rows(span: range, matrix: Matrix | None = None, *, scale: float = 1.0) -> Terms:
    """s E_span M, constant."""
    return (Term("rows", span, scale * (identity(len(span)) if matrix is None else matrix)),)


def channels(blocks: Blocks, matrix: Matrix | None = None, *, scale: float = 1.0) -> Terms:
    """s B M, one term a block."""
    return tuple(
        Term(
            "channels",
            box.channels,
            scale * share * (identity(box.width) if matrix is None else matrix),
        )
        for box, share in blocks.items()
    )


def _rows_of(blocks: Blocks) -> range:
    return next(iter(blocks)).rows
