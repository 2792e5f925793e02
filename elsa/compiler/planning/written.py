"""What a step computes as it stands: factors whose product must not be multiplied out.

Distributing A (B - C) into A B - A C loses digits where B is close to C, and how close they are is
data. So a sum that is a factor of a product is a value of its own, unless nothing can be lost: its
terms lie in different places, as those of a concatenation do, or the other factor is a number, data
of one entry, or a constant with at most one entry in every line that meets the sum (a slice, a
place in a larger block, a scaling of rows). Data of one entry is multiplied into a sum once only,
or a loop would become a polynomial in it, term by term. For the same reason two constants that both
add entries up, as C and D in C (D A), are not multiplied with one another.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from elsa.compiler.planning.places import are_apart, places_of, places_only
from elsa.compiler.tracing.graph import Node, Ref


def as_written(nodes: Sequence[Node], moving: Collection[Node] = ()) -> frozenset[Node]:
    """Factors of products in which digits can be lost: values of several terms, C A in D (C A).

    Args:
      nodes: values of a step, parts first.
      moving: the leaves that change from step to step.
    """
    several: dict[Node, bool] = {}
    sums: dict[Node, _Sums] = {}
    scaled: dict[Node, bool] = {}  # whether data of one entry has been multiplied into a sum
    kept: set[Node] = set()
    changes: dict[Node, bool] = {}

    def keep(node: Node) -> None:
        for value in (node, _unscaled(node)):
            several[value], scaled[value], sums[value] = False, False, _NONE
        kept.add(_unscaled(node))

    for node in nodes:
        changes[node] = node in moving or any(changes[part.node] for _, part in node.parts)
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
            inner = right.node if left.node.kind == "const" else left.node
            if _add_up(sums, left, right) or (not changes[inner] and _grow(sums, left, right)):
                keep(inner)
            several[node] = several[left.node] or several[right.node]
        else:
            several[node] = not are_apart(node) or any(several[part.node] for _, part in node.parts)
        scaled[node] = by_data or any(scaled[part.node] for _, part in node.parts)
        sums[node] = _sums(node, sums)
        places_of(Ref(node))
    return frozenset(kept)


def _unscaled(node: Node) -> Node:
    """The value of which this is a multiple by a number."""
    while node.kind == "add" and len(node.parts) == 1:
        node = node.parts[0][1].node
    return node


def _add_up(sums: Mapping[Node, "_Sums"], left: Ref, right: Ref) -> bool:
    """Whether two constants meet in a product that both add entries up."""
    before, after = _ends(sums, left, first=True), _ends(sums, right, first=False)
    return bool(before.right and after.left)


def _grow(sums: Mapping[Node, "_Sums"], left: Ref, right: Ref) -> bool:
    """Whether a constant meets one that adds up, and their product has more entries than both."""
    if "const" not in (left.node.kind, right.node.kind):
        return False
    before, after = _ends(sums, left, first=True), _ends(sums, right, first=False)
    adds = after.left if left.node.kind == "const" else before.right
    outer, inner = before.right or left.shape[0], after.left or right.shape[1]
    return bool(adds) and outer * inner > left.shape[1] * (outer + inner)


class _Sums(NamedTuple):
    """How many entries the constant adds up that a product begins, or ends, with; 0 for none."""

    left: int
    right: int


_NONE = _Sums(0, 0)


def _sums(node: Node, sums: Mapping[Node, _Sums]) -> _Sums:
    if node.kind == "mul":
        left, right = (part for _, part in node.parts)
        before, after = _ends(sums, left, first=True), _ends(sums, right, first=False)
        return _Sums(
            before.left or (after.left if left.node.kind == "const" else 0),
            after.right or (before.right if right.node.kind == "const" else 0),
        )
    ends = [_ends(sums, part, first=False) for _, part in node.parts]
    return _Sums(max(end.left for end in ends), max(end.right for end in ends)) if ends else _NONE


def _ends(sums: Mapping[Node, _Sums], part: Ref, *, first: bool) -> _Sums:
    """Of a factor, which is the left one of its product where `first`."""
    if part.node.kind == "const":
        adds = not places_only(part, first=first)
        return _Sums(part.shape[1], part.shape[0]) if adds else _NONE
    part_sums = sums[part.node]
    return _Sums(part_sums.right, part_sums.left) if part.flipped else part_sums


def _is_harmless(factor: Ref, several: dict[Node, bool], *, first: bool) -> bool:
    """Whether a product with the factor, on the left where `first`, only places or scales."""
    if factor.node.kind != "const":
        return factor.shape == (1, 1) and not several[factor.node]
    return places_only(factor, first=first)
