"""What a group of coefficients is, and a line of the head table that may write some of them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from elsa.prompts.layout import Box

Boxes = Mapping[str, Box]
Values = Mapping[str, np.ndarray]
Embed = Callable[[np.ndarray], np.ndarray]


class Form(NamedTuple):
    """A line of the head table on some blocks: all it can write with constants of any values.

    kind: the line, a key of `formulas_lines.KINDS`.
    operands: its blocks in order.
    source: what part of the group it writes; forms of one source are ways to write the same.
    values: the group's coefficients there, [x, y, z, o]; constants L [x, y] and R [z, o] write
      L (x) R.
    embed: from such an array to the group's vector.
    symmetric: whether the part is the same with y and z exchanged, and an array counts as the mean
      of both.
    """

    kind: str
    operands: tuple[str, ...]
    source: str
    values: np.ndarray
    embed: Embed
    symmetric: bool = False


class Group(NamedTuple):
    """Coefficients of all monomials of some blocks in the entries of one.

    target: the block that is written.
    vector: one for each class of equal coefficients, weighted so that its norm is theirs.
    forms: the lines that may write some of them.
    """

    target: str
    vector: np.ndarray
    forms: list[Form]


def common(*spans: range) -> range:
    first, last = max(s.start for s in spans), min(s.stop for s in spans)
    return range(first, max(first, last))


def others(rows: range, span: range) -> np.ndarray:
    """For each row, how many rows of the span are other than it."""
    return np.array([len(span) - (row in span) for row in rows], np.float64)


def rows(box: Box) -> slice:
    return slice(box.row, box.rows.stop)


def channels(box: Box) -> slice:
    return slice(box.col, box.channels.stop)
