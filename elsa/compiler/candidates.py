"""Which values of a step to compute as they stand, rather than to distribute over products."""

import itertools
from collections.abc import Iterable, Sequence

from elsa.compiler.graph import Node, Ref

MAX_CANDIDATES = 64
MAX_PLANNED = 1000  # nodes planned for all candidates where they cannot all be tried


def candidates(outputs: Sequence[Ref], reassociate: bool) -> Iterable[frozenset[Node]]:
    """Sets of values to compute as they stand, rather than to distribute over products."""
    sums, products, size = _sites(outputs)
    fixed = frozenset() if reassociate else frozenset(sums)
    free = sums if reassociate else products
    if 2 ** len(free) <= MAX_CANDIDATES:
        sizes = range(len(free) + 1)
        return (fixed | frozenset(c) for k in sizes for c in itertools.combinations(free, k))
    few = [frozenset(), *(frozenset([node]) for node in free)]
    most = [frozenset(free), *(frozenset(free) - {node} for node in free)]
    mixed = (fixed | chosen for pair in zip(few, most, strict=True) for chosen in pair)
    return itertools.islice(mixed, max(2, min(MAX_CANDIDATES, MAX_PLANNED // size)))


def _sites(outputs: Sequence[Ref]) -> tuple[list[Node], list[Node], int]:
    """Sums, and products, that are factors of another product, in order of creation; all nodes."""
    seen: set[Node] = set()
    inside: set[Node] = set()
    queue = [ref.node for ref in outputs]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        for _, part in node.parts:
            queue.append(part.node)
            if node.kind in ("mul", "scale"):
                inside.add(part.node)
    ordered = sorted(inside, key=lambda node: node.uid)
    free = [node for node in ordered if not node.keep]
    sums = [node for node in free if node.kind == "add"]
    return sums, [node for node in free if node.kind in ("mul", "scale")], len(seen)
