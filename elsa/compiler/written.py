"""What a step computes as it stands: factors whose product must not be multiplied out.

Distributing A (B - C) into A B - A C loses digits where B is close to C, and how close they are is
data. So a sum that is a factor of a product is a value of its own, unless nothing can be lost: its
terms lie in different places, as those of a concatenation do, or the other factor is a number, data
of one entry, or a constant with at most one entry in every line that meets the sum (a slice, a
place in a larger block, a scaling of rows). Data of one entry is multiplied into a sum once only,
or a loop would become a polynomial in it, term by term. For the same reason two constants that both
add entries up, as C and D in C (D A), are not multiplied with one another.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from elsa.compiler.graph import Node, Ref, const_array


def as_written(nodes: Sequence[Node]) -> frozenset[Node]:
    """Factors of products in which digits can be lost: values of several terms, C A in D (C A)."""
    several: dict[Node, bool] = {}
    places: dict[Node, _Places] = {}
    sums: dict[Node, _Sums] = {}
    scaled: dict[Node, bool] = {}  # whether data of one entry has been multiplied into a sum
    kept: set[Node] = set()

    def keep(node: Node) -> None:
        for value in (node, _unscaled(node)):
            several[value], scaled[value], sums[value] = False, False, _Sums(False, False)
        kept.add(_unscaled(node))

    for node in nodes:
        by_data = False
        if node.kind in ("mul", "scale"):
            left, right = (part for _, part in node.parts)
            for part, other, first in ((left, right, False), (right, left, True)):
                again = scaled[part.node] and other.node.kind != "const"
                if not several[part.node]:
                    continue
                if again or not _is_harmless(other, several, first=first):
                    keep(part.node)
                else:
                    by_data |= other.node.kind != "const"
            if _ends(sums, left, first=True).right and _ends(sums, right, first=False).left:
                keep(right.node if left.node.kind == "const" else left.node)
            several[node] = several[left.node] or several[right.node]
        else:
            apart = _are_apart([_turned(places, part) for _, part in node.parts])
            several[node] = not apart or any(several[part.node] for _, part in node.parts)
        scaled[node] = by_data or any(scaled[part.node] for _, part in node.parts)
        places[node], sums[node] = _places(node, places), _sums(node, sums)
    return frozenset(kept)


def _unscaled(node: Node) -> Node:
    """The value of which this is a multiple by a number."""
    while node.kind == "add" and len(node.parts) == 1:
        node = node.parts[0][1].node
    return node


class _Sums(NamedTuple):
    """Whether a product begins, or ends, with a constant that adds entries up."""

    left: bool
    right: bool


def _sums(node: Node, sums: Mapping[Node, _Sums]) -> _Sums:
    if node.kind == "mul":
        left, right = (part for _, part in node.parts)
        before, after = _ends(sums, left, first=True), _ends(sums, right, first=False)
        return _Sums(
            before.left or (left.node.kind == "const" and after.left),
            after.right or (right.node.kind == "const" and before.right),
        )
    ends = [_ends(sums, part, first=False) for _, part in node.parts]
    return _Sums(any(end.left for end in ends), any(end.right for end in ends))


def _ends(sums: Mapping[Node, _Sums], part: Ref, *, first: bool) -> _Sums:
    """Of a factor, which is the left one of its product where `first`."""
    if part.node.kind == "const":
        adds = not _places_only(part, first=first)
        return _Sums(adds, adds)
    found = sums[part.node]
    return _Sums(found.right, found.left) if part.flipped else found


class _Places(NamedTuple):
    """The rows and the columns of a value that can hold anything but zero."""

    rows: np.ndarray
    columns: np.ndarray


def _places(node: Node, places: Mapping[Node, _Places]) -> _Places:
    if node.array is not None:
        filled = (node.array != 0).any(axis=0)
        return _Places(filled.any(axis=1), filled.any(axis=0))
    parts = [_turned(places, part) for _, part in node.parts]
    if node.kind == "mul":
        return _Places(parts[0].rows, parts[1].columns)
    if node.kind == "scale":
        return parts[1]
    if node.kind == "add":
        rows, columns = zip(*parts, strict=True)
        return _Places(np.any(rows, axis=0), np.any(columns, axis=0))
    return _Places(*(np.ones(size, bool) for size in node.shape))


def _turned(places: Mapping[Node, _Places], part: Ref) -> _Places:
    found = places[part.node]
    return _Places(found.columns, found.rows) if part.flipped else found


def _are_apart(parts: Sequence[_Places]) -> bool:
    """Whether no two values of one shape can be other than zero in the same place."""
    if len(parts) < 2:
        return True
    shape = parts[0].rows.size, parts[0].columns.size
    if sum(int(p.rows.sum()) * int(p.columns.sum()) for p in parts) > shape[0] * shape[1]:
        return False
    filled = np.zeros(shape, bool)
    for part in parts:
        here = np.ix_(part.rows, part.columns)
        if filled[here].any():
            return False
        filled[here] = True
    return True


def _is_harmless(factor: Ref, several: dict[Node, bool], *, first: bool) -> bool:
    """Whether a product with the factor, on the left where `first`, only places or scales."""
    if factor.node.kind != "const":
        return factor.shape == (1, 1) and not several[factor.node]
    return _places_only(factor, first=first)


def _places_only(factor: Ref, *, first: bool) -> bool:
    """Whether a constant has at most one entry in every line that meets the other factor."""
    entries = np.count_nonzero(const_array(factor), axis=2 if first else 1)
    return int(entries.max()) <= 1
