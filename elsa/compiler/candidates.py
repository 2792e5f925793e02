"""Which values of a step to compute as they stand, rather than to distribute over products.

Distributing A (B - C) into A B - A C loses digits where B is close to C, and how close they are is
data. So a sum that is a factor of a product is a value of its own, unless nothing can be lost: the
other factor is a number, data of one entry, or a constant with at most one entry in every line that
meets the sum (a slice, a place in a larger block, a scaling of rows). `reassociate="gram"` tries
both for sums that do not contain such a choice themselves, so that no two iterations of a loop that
is written out are ever multiplied into each other.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from elsa.compiler.graph import Node, Ref, const_array, reachable

MAX_CANDIDATES = 64
MAX_PLANNED = 1000  # nodes planned for all candidates where they cannot all be tried


def candidates(outputs: Sequence[Ref], *, gram: bool) -> Iterator[frozenset[Node]]:
    """Sets of values to compute as they stand; with `gram` False, the first that can be planned."""
    nodes = reachable(outputs)
    written = _as_written(nodes)
    if gram:
        yield from _distributed(nodes, written)
    yield written
    yield frozenset(node for node in nodes if node.kind == "add")


def _as_written(nodes: Sequence[Node]) -> frozenset[Node]:
    """Values of several terms that are factors of a product in which digits can be lost."""
    several: dict[Node, bool] = {}
    kept: set[Node] = set()
    for node in nodes:
        if node.kind in ("mul", "scale"):
            left, right = (part for _, part in node.parts)
            for part, other, first in ((left, right, False), (right, left, True)):
                if several[part.node] and not _is_harmless(other, several, first=first):
                    kept.add(part.node)
                    several[part.node] = False
            several[node] = several[left.node] or several[right.node]
        else:
            several[node] = len(node.parts) > 1 or any(several[part.node] for _, part in node.parts)
        several[node] = several[node] and not node.keep
    return frozenset(kept)


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
    for node in nodes:
        inside = not node.keep and any(chosen[part.node] for _, part in node.parts)
        if node in written and not inside:
            free.append(node)
        chosen[node] = node in free or (inside and node not in written)
    fixed = written - frozenset(free)
    if 2 ** len(free) <= MAX_CANDIDATES:
        sizes = range(len(free) + 1)
        yield from (fixed | frozenset(c) for k in sizes for c in itertools.combinations(free, k))
        return
    few = [frozenset(), *(frozenset([node]) for node in free)]
    most = [frozenset(free), *(frozenset(free) - {node} for node in free)]
    mixed = (fixed | some for pair in zip(few, most, strict=True) for some in pair)
    limit = max(2, min(MAX_CANDIDATES, MAX_PLANNED // len(nodes)))
    yield from itertools.islice(mixed, limit)
