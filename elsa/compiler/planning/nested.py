"""Sums inside sums: which of them have to be computed before the outer terms are added.

In w + (q - s) the difference of two data that are close is exact, and small; w + q - s, added up in
any order, keeps only the digits of w that q leaves room for. Heads of one layer are added in an
order that is not the step's, so such a sum is a value of its own, and so is one that is multiplied
by a number. Nothing is lost, and no layer is spent, where at most one term of the inner sum is free
of rounding: a product of what is rounded already, or a sum, is rounded at its own size before the
step can cancel it. Zeros and ones as data are the exception, and so P V counts where V or P U is
another term: in P V - V the product may be the rows of V.

Nor is anything lost where the inner term is the outermost sum's own as well, at the same size, as w
is in w + b (w - u), or where the block that it is goes into this sum: errors are small against it.

A block that is written over holds its old value too, so a block that becomes q - s is that sum plus
w - w, in some order: `whole` names these.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from elsa.compiler.planning.exact_terms import (
    ALONE,
    Context,
    Term,
    Terms,
    may_be_exact,
    only_moves,
)
from elsa.compiler.planning.places import are_apart, places_of
from elsa.compiler.tracing.constants import powers_of_two
from elsa.compiler.tracing.graph import Node, Ref, reachable

Output = tuple[Node | None, Ref]
_MAX_TERMS = 64  # of one value that are considered
_MAX_CONTEXTS = 16  # of one value; one that is used in more ways is a value of its own


def apart(
    outputs: Sequence[Output], written: Collection[Node], *, products: bool
) -> frozenset[Node]:
    """Sums in sums and in multiples to compute on their own, beside the factors of `written`.

    Args:
      outputs: values, and the leaf of the block that each is the next value of, if it is one.
      written: factors of products that are computed as they stand.
      products: whether a product of two inputs counts as free of rounding.
    """
    sums = _Sums(reachable(ref for _, ref in outputs), written, products=products)
    while sums.grow(outputs):
        pass
    return frozenset(sums.kept.difference(written))


def whole(states: Mapping[str, Ref], kept: Collection[Node]) -> frozenset[Node]:
    """New values of states that are sums of data without rounding, the state itself not among it.

    Args:
      states: name of a block -> its value after one step.
      kept: the values that are computed on their own.
    """
    values = _Sums(reachable(states.values()), kept, products=False)
    leaf_of = {name: leaf for name in states for leaf in values.nodes if leaf.name == name}
    sums_of_data = set()
    for name, ref in states.items():
        if ref.node.kind != "add" or not values.is_exact(ref.node):
            continue
        held = any(term.value.node is leaf_of.get(name) for term in values.inside(ref.node))
        if len(values.cancelling(ref.node)) > 1 and not held:
            sums_of_data.add(ref.node)
    return frozenset(sums_of_data)


class _Sums:
    """Exact terms of the values of a step, given those that are kept."""

    def __init__(self, nodes: Sequence[Node], kept: Collection[Node], *, products: bool) -> None:
        self.nodes, self.kept, self.products = nodes, set(kept), products
        self._exact: dict[Node, bool] = {}  # computed without rounding, or cancelled so
        self._terms: dict[Node, Terms] = {}
        for node in nodes:
            places_of(Ref(node))
            inner = [part for _, part in node.parts]
            data = [part for part in inner if part.node.kind != "const"]
            rounded = node.kind in ("mul", "scale") and len(data) > 1
            self._exact[node] = not rounded and all(self._exact[part.node] for part in inner)
            self._terms[node] = self._terms_of(node)

    def grow(self, outputs: Sequence[Output]) -> bool:
        """Adds the sums that lose digits where they stand now, inner ones first."""
        contexts = self._contexts(outputs)
        before = len(self.kept)
        for node in self.nodes:
            self._terms[node] = self._terms_of(node)
            if node in self.kept or node.kind != "add" or are_apart(node):
                continue
            for context in contexts[node]:
                terms = self.cancelling(node)
                bare = [term for term, c in terms.items() if not context.hides(term, c)]
                counted = [term for term in bare if may_be_exact(term, terms)]
                if context.lossy and len(counted) > 1:
                    self.kept.add(node)
                    self._terms[node] = self._terms_of(node)
                    break
        return len(self.kept) > before

    def cancelling(self, node: Node) -> Terms:
        """The terms of a sum that it may cancel without rounding, as they are exact themselves."""
        total: Terms = {}
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
                return not are_apart(node)
            data = [part.node for _, part in node.parts if part.node.kind != "const"]
            if len(data) != 1:
                return False
            node = data[0]
        return False

    def terms(self, ref: Ref) -> Terms:
        """The terms without rounding that a value adds where it is taken apart."""
        terms = self._terms[ref.node]
        return {term.T: c for term, c in terms.items()} if ref.flipped else terms

    def _terms_of(self, node: Node) -> Terms:
        if node.kind in ("leaf", "const") or node in self.kept:
            return {Term(Ref(node)): np.ones(1)} if self._exact[node] else {}
        terms = self.inside(node)  # of a loop of C v D + v, twice as many in every turn
        return dict(itertools.islice(terms.items(), _MAX_TERMS))

    def inside(self, node: Node) -> Terms:
        """The terms without rounding of a value taken apart, kept or not."""
        total: Terms = {}
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
        if node.kind in ("mul", "scale") and self.products and not total:
            data = [part.node for _, part in node.parts]
            if all(self._exact[part] and not self._is_sum(part) for part in data):
                return {Term(Ref(node)): np.ones(1)}
        return total

    def _contexts(self, outputs: Sequence[Output]) -> dict[Node, list[Context]]:
        """Every way in which a value is taken apart, from the outside in."""
        direct: dict[Node, list[Context]] = {}
        for leaf, ref in outputs:
            block = {Term(Ref(leaf)): np.ones(1)} if leaf is not None else {}
            context = ALONE._replace(block=block, outer=block)
            direct.setdefault(ref.node, []).append(context.T if ref.flipped else context)
        contexts = {node: list(direct.get(node, ())) for node in self.nodes}
        for node in reversed(self.nodes):
            mine = contexts[node]
            if len(mine) > _MAX_CONTEXTS:
                mine = contexts[node] = [ALONE._replace(lossy=True, outermost=False)]
            if node in self.kept:
                mine = direct.get(node, [ALONE])
            for context in mine:
                for part, inner in self._inner(node, context):
                    contexts[part.node].append(inner.T if part.flipped else inner)
        return contexts

    def _inner(self, node: Node, context: Context) -> Iterable[tuple[Ref, Context]]:
        """The parts of a value and where they stand, given where the value stands."""
        if node.kind == "add":
            yield from self._terms_inside(node, context)
        elif node.kind == "mul":
            left, right = (part for _, part in node.parts)
            small = left.shape == (1, 1) or right.shape == (1, 1)
            for part, other, first in ((left, right, False), (right, left, True)):
                if other.node.kind == "const":
                    side = (*context.left, other), context.right
                    if not first:
                        side = context.left, (other, *context.right)
                    lossy = context.lossy or not only_moves(other, first=first)
                    yield part, context._replace(left=side[0], right=side[1], lossy=lossy)
                else:
                    yield part, ALONE._replace(lossy=small, outermost=not small)
        elif node.kind == "scale":
            for _, part in node.parts:
                yield part, ALONE._replace(lossy=True, outermost=False)

    def _terms_inside(self, node: Node, context: Context) -> Iterable[tuple[Ref, Context]]:
        together = len(node.parts) > 1 and not are_apart(node)
        added = self._added(node, context) if together and context.outermost else []
        for coefficient, part in node.parts:
            inner = context._replace(
                coefficient=context.coefficient * coefficient,
                lossy=context.lossy or together or not powers_of_two(np.asarray(coefficient)),
                outermost=context.outermost and not together,
            )
            if together:
                outer = dict(context.block)
                for other, term, size in added:
                    if other != part:
                        outer[term] = outer.get(term, 0.0) + size
                inner = inner._replace(outer=outer)
            yield part, inner

    def _added(self, node: Node, context: Context) -> list[tuple[Ref, Term, np.ndarray]]:
        """What each part of an outermost sum adds where the sum stands, but for sums."""
        return [
            (part, term.between(context.left, context.right), context.coefficient * coefficient * c)
            for coefficient, part in node.parts
            if not self._is_sum(part.node)
            for term, c in self.terms(part).items()
        ]
