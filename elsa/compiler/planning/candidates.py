"""Which values of a step to compute as they stand, rather than to distribute over products.

By default those of `written`. `reassociate="gram"` tries both for sums that do not contain such a
choice themselves, so that no two iterations of a loop that is written out are ever multiplied into
each other.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence

from elsa.compiler.planning.nested import Output, apart
from elsa.compiler.planning.written import as_written
from elsa.compiler.tracing.graph import Node, reachable

MAX_CANDIDATES = 64
MAX_PLANNED = 1000  # nodes planned for all candidates where they cannot all be tried


def candidates(
    outputs: Sequence[Output], moving: Collection[Node], *, gram: bool
) -> Iterator[frozenset[Node]]:
    """Sets of values to compute as they stand; with `gram` False, the first that can be planned.

    Args:
      outputs: what a step computes, and the leaf of the block that it is the next value of.
      moving: the leaves that change from step to step.
      gram: whether products may be distributed.
    """
    nodes = reachable(ref for _, ref in outputs)
    written = as_written(nodes, moving)
    sums = apart(outputs, written, products=not gram)
    if gram:
        yield from (chosen | sums for chosen in _distributed(nodes, written))
    yield written | sums
    yield frozenset(node for node in nodes if node.kind == "add")


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
