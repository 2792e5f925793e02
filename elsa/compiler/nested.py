"""Sums inside sums: which of them have to be computed before the outer terms are added.

In w + (q - s) the difference of two data that are close is exact, and small; w + q - s, added up in
any order, keeps only the digits of w that q leaves room for. Heads of one layer are added in an
order that is not the step's, so such a sum is a value of its own, and so is one that is multiplied
by a number. Nothing is lost, and no layer is spent, where at most one term of the inner sum is free
of rounding: a product of data, or a sum, is rounded at its own size before the step can cancel it.
Nor is it where an outer term is the same data at the same size, as w is in w + b (w - u).

A block that is written over holds its old value too, so a block that becomes q - s is that sum plus
w - w, in some order: `whole` names these.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from elsa.compiler.graph import Node, Ref, const_array, reachable
from elsa.compiler.places import Places, are_apart, places_of, places_only, turned

_SAME_SIZE = 8.0  # times the outer term, up to which an inner one is of its size
_MAX_CONTEXTS = 16  # of one value; one that is used in more ways is a value of its own


class _Term(NamedTuple):
    """left[0] left[1] ... value ... right[-1], with constants around a value."""

    value: Ref
    left: tuple[Ref, ...] = ()
    right: tuple[Ref, ...] = ()

    @property
    def T(self) -> "_Term":  # noqa: N802, as in NumPy
        left, right = (tuple(c.T for c in reversed(side)) for side in (self.right, self.left))
        return _Term(self.value.T, left, right)

    def between(self, left: tuple[Ref, ...], right: tuple[Ref, ...]) -> "_Term":
        return _Term(self.value, left + self.left, self.right + right)


_Terms = dict[_Term, np.ndarray]


class _Context(NamedTuple):
    """Where a value stands in a sum or a multiple that would take its terms apart.

    coefficient, left, right: what it is multiplied by there.
    outer: terms without rounding that are added to it.
    lossy: whether something is added to it, or multiplies it with rounding.
    """

    coefficient: np.ndarray
    left: tuple[Ref, ...]
    right: tuple[Ref, ...]
    outer: _Terms
    lossy: bool

    @property
    def T(self) -> "_Context":  # noqa: N802, as in NumPy
        turned_term = _Term(Ref(_NOWHERE), self.left, self.right).T
        outer = {term.T: c for term, c in self.outer.items()}
        return self._replace(left=turned_term.left, right=turned_term.right, outer=outer)

    def hides(self, term: _Term, coefficient: np.ndarray) -> bool:
        """Whether an outer term has the size of the inner one."""
        here = self.outer.get(term.between(self.left, self.right))
        size = np.abs(coefficient * self.coefficient)
        return here is not None and bool(np.all(size <= _SAME_SIZE * np.abs(here)))


_NOWHERE = Node("leaf", (0, 0), -1)


def apart(outputs: Iterable[Ref], written: Collection[Node]) -> frozenset[Node]:
    """Sums in sums and in multiples to compute on their own, beside the factors of `written`."""
    roots = [ref.node for ref in outputs]
    found = _Sums(reachable(Ref(node) for node in roots), written)
    while found.grow(roots):
        pass
    return frozenset(found.kept.difference(written))


def whole(states: Mapping[str, Ref], kept: Collection[Node]) -> frozenset[Node]:
    """New values of states that are sums of data without rounding, the state itself not among it.

    Args:
      states: name of a block -> its value after one step.
      kept: the values that are computed on their own.
    """
    values = _Sums(reachable(states.values()), kept)
    own = {name: leaf for name in states for leaf in values.nodes if leaf.name == name}
    found = set()
    for name, ref in states.items():
        if ref.node.kind != "add" or not values.is_exact(ref.node):
            continue
        held = any(term.value.node is own.get(name) for term in values.inside(ref.node))
        if len(values.cancelling(ref.node)) > 1 and not held:
            found.add(ref.node)
    return frozenset(found)


class _Sums:
    """Exact terms of the values of a step, given those that are kept."""

    def __init__(self, nodes: Sequence[Node], kept: Collection[Node]) -> None:
        self.nodes, self.kept = nodes, set(kept)
        self._places: dict[Node, Places] = {}
        self._exact: dict[Node, bool] = {}  # computed without rounding, or cancelled so
        self._terms: dict[Node, _Terms] = {}
        for node in nodes:
            self._places[node] = places_of(node, self._places)
            inner = [part for _, part in node.parts]
            data = [part for part in inner if part.node.kind != "const"]
            rounded = node.kind in ("mul", "scale") and len(data) > 1
            self._exact[node] = not rounded and all(self._exact[part.node] for part in inner)
            self._terms[node] = self._terms_of(node)

    def grow(self, roots: Collection[Node]) -> bool:
        """Adds the sums that lose digits where they stand now, inner ones first."""
        contexts = self._contexts(roots)
        before = len(self.kept)
        for node in self.nodes:
            self._terms[node] = self._terms_of(node)
            if node in self.kept or node.kind != "add" or self._is_apart(node):
                continue
            for context in contexts[node]:
                own = self.cancelling(node).items()
                bare = [term for term, c in own if not context.hides(term, c)]
                if context.lossy and len(bare) > 1:
                    self.kept.add(node)
                    self._terms[node] = self._terms_of(node)
                    break
        return len(self.kept) > before

    def cancelling(self, node: Node) -> _Terms:
        """The terms of a sum that it may cancel without rounding, as they are exact themselves."""
        total: _Terms = {}
        for coefficient, part in node.parts:
            if not self._is_sum(part.node):
                for term, c in self.terms(part).items():
                    total[term] = total.get(term, 0.0) + c * coefficient
        return total

    def is_exact(self, node: Node) -> bool:
        return self._exact[node]

    def _is_sum(self, node: Node) -> bool:
        """Whether a value is taken apart into terms that are added in one place."""
        while node not in self.kept and node.kind in ("add", "mul"):
            if len(node.parts) > 1 and node.kind == "add":
                return not self._is_apart(node)
            data = [part.node for _, part in node.parts if part.node.kind != "const"]
            if len(data) != 1:
                return False
            node = data[0]
        return False

    def terms(self, ref: Ref) -> _Terms:
        """The terms without rounding that a value adds where it is taken apart."""
        found = self._terms[ref.node]
        return {term.T: c for term, c in found.items()} if ref.flipped else found

    def _terms_of(self, node: Node) -> _Terms:
        if node.kind in ("leaf", "const") or node in self.kept:
            return {_Term(Ref(node)): np.ones(1)} if self._exact[node] else {}
        return self.inside(node)

    def inside(self, node: Node) -> _Terms:
        """The terms without rounding of a value taken apart, kept or not."""
        total: _Terms = {}
        if node.kind == "add":
            for coefficient, part in node.parts:
                for term, c in self.terms(part).items():
                    total[term] = total.get(term, 0.0) + c * coefficient
        elif node.kind == "mul":
            left, right = (part for _, part in node.parts)
            if left.node.kind == "const":
                total = {t.between((left,), ()): c for t, c in self.terms(right).items()}
            elif right.node.kind == "const":
                total = {t.between((), (right,)): c for t, c in self.terms(left).items()}
        return total

    def _is_apart(self, node: Node) -> bool:
        return are_apart([turned(self._places, part) for _, part in node.parts])

    def _contexts(self, roots: Collection[Node]) -> dict[Node, list[_Context]]:
        """Every way in which a value is taken apart, from the outside in."""
        alone = _Context(np.ones(1), (), (), {}, lossy=False)
        found: dict[Node, list[_Context]] = {node: [] for node in self.nodes}
        for node in reversed(self.nodes):
            mine = found[node]
            if len(mine) > _MAX_CONTEXTS:
                mine = found[node] = [alone._replace(lossy=True)]
            if node in roots or node in self.kept:
                mine = [alone]
            for context in mine:
                for part, inner in self._inner(node, context):
                    found[part.node].append(inner.T if part.flipped else inner)
        return found

    def _inner(self, node: Node, context: _Context) -> Iterable[tuple[Ref, _Context]]:
        """The parts of a value and where they stand, given where the value stands."""
        if node.kind == "add":
            together = len(node.parts) > 1 and not self._is_apart(node)
            for coefficient, part in node.parts:
                factor = context.coefficient * coefficient
                outer = dict(context.outer)
                for other_coefficient, other in node.parts if together else ():
                    for term, c in self.terms(other).items() if other != part else ():
                        placed = term.between(context.left, context.right)
                        size = context.coefficient * other_coefficient * c
                        outer[placed] = outer.get(placed, 0.0) + size
                lossy = context.lossy or together or not _is_exact(np.asarray(coefficient))
                yield part, context._replace(coefficient=factor, outer=outer, lossy=lossy)
            return
        alone = _Context(np.ones(1), (), (), {}, lossy=False)
        if node.kind == "mul":
            left, right = (part for _, part in node.parts)
            small = left.shape == (1, 1) or right.shape == (1, 1)
            for part, other, first in ((left, right, False), (right, left, True)):
                if other.node.kind == "const":
                    side = (*context.left, other), context.right
                    if not first:
                        side = context.left, (other, *context.right)
                    lossy = context.lossy or not _keeps(other, first=first)
                    yield part, context._replace(left=side[0], right=side[1], lossy=lossy)
                else:
                    yield part, alone._replace(lossy=small)
        elif node.kind == "scale":
            (_, scalar), (_, value) = node.parts
            yield scalar, alone._replace(lossy=True)
            yield value, alone._replace(lossy=True)


def _keeps(constant: Ref, *, first: bool) -> bool:
    """Whether a product with the constant only moves entries, to other places or powers of two."""
    return places_only(constant, first=first) and _is_exact(const_array(constant))


def _is_exact(numbers: np.ndarray) -> bool:
    """Whether multiplying by the numbers is exact: zeros and powers of two."""
    mantissas = np.abs(np.frexp(numbers)[0])
    return bool(np.all((mantissas == 0.5) | (mantissas == 0.0)))
