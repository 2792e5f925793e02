"""Which values of a step to compute as they stand, rather than to distribute over products.

Distributing A (B - C) into A B - A C loses digits where B is close to C, and how close they are is
data. So a sum that is a factor of a product is a value of its own, unless nothing can be lost: its
terms lie in different places, as those of a concatenation do, or the other factor is a number, data
of one entry, or a constant with at most one entry in every line that meets the sum (a slice, a
place in a larger block, a scaling of rows). `reassociate="gram"` tries both for sums that do not
contain such a choice themselves, so that no two iterations of a loop that is written out are ever
multiplied into each other.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from elsa.compiler.graph import Node, Ref, const_array, reachable

MAX_CANDIDATES = 64
MAX_PLANNED = 1000  # nodes planned for all candidates where they cannot all be tried


def candidates(outputs: Sequence[Ref], *, gram: bool) -> Iterator[frozenset[Node]]:
    """Sets of values to compute as they stand; with `gram` False, the first that can be planned."""
    nodes = reachable(outputs)
    written = as_written(nodes)
    if gram:
        yield from _distributed(nodes, written)
    yield written
    yield frozenset(node for node in nodes if node.kind == "add")


def as_written(nodes: Sequence[Node]) -> frozenset[Node]:
    """Values of several terms that are factors of a product in which digits can be lost."""
    several: dict[Node, bool] = {}
    places: dict[Node, _Places] = {}
    kept: set[Node] = set()
    for node in nodes:
        if node.kind in ("mul", "scale"):
            left, right = (part for _, part in node.parts)
            for part, other, first in ((left, right, False), (right, left, True)):
                if several[part.node] and not _is_harmless(other, several, first=first):
                    kept.add(_unscaled(part.node))
                    several[part.node] = several[_unscaled(part.node)] = False
            several[node] = several[left.node] or several[right.node]
        else:
            apart = _are_apart([_turned(places, part) for _, part in node.parts])
            several[node] = not apart or any(several[part.node] for _, part in node.parts)
        places[node] = _places(node, places)
    return frozenset(kept)


def _unscaled(node: Node) -> Node:
    """The value of which this is a multiple by a number."""
    while node.kind == "add" and len(node.parts) == 1:
        node = node.parts[0][1].node
    return node


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
    entries = np.count_nonzero(const_array(factor), axis=2 if first else 1)
    return int(entries.max()) <= 1


def _distributed(nodes: Sequence[Node], written: frozenset[Node]) -> Iterator[frozenset[Node]]:
    """Every choice to distribute sums that do not contain another choice."""
    chosen: dict[Node, bool] = {}  # whether a value contains a sum that may be distributed
    free = []
    fixed = {node for node in nodes if node.carried and node.kind in ("add", "mul", "scale")}
    for node in nodes:
        inside = node not in fixed and any(chosen[part.node] for _, part in node.parts)
        if node in written and node not in fixed:
            if inside:
                fixed.add(node)
            else:
                free.append(node)
        chosen[node] = node not in fixed and (inside or node in free)
    if 2 ** len(free) <= MAX_CANDIDATES:
        sizes = range(len(free) + 1)
        yield from (frozenset(c) | fixed for k in sizes for c in itertools.combinations(free, k))
        return
    few = [frozenset(), *(frozenset([node]) for node in free)]
    most = [frozenset(free), *(frozenset(free) - {node} for node in free)]
    mixed = (some | fixed for pair in zip(few, most, strict=True) for some in pair)
    limit = max(2, min(MAX_CANDIDATES, MAX_PLANNED // len(nodes)))
    yield from itertools.islice(mixed, limit)
