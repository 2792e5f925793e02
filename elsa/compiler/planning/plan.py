"""Which heads compute a monomial: grouping, stored transposes, hoisting.

One head multiplies up to three stored values, in these forms (C, M constants):

    C A^T B M      A M B C      A M B^T C      A M B^T C' with C' data

and only those; longer products and other transposes need values stored before. A value is stored
as the chain it equals, so that a common chain is stored once, and its transpose is another chain.
`Planner.stored` finds the cheapest way to have a chain stored, `Planner.head` the cheapest head for
a monomial; costs are compared by layers, then heads, then entries stored, then channels. A chain is
multiplied in the step's own order, A (B C) or (A B) C, unless the planner may regroup.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from elsa.compiler.planning.chains import Chain, Monomial, bare
from elsa.compiler.planning.polynomial import Expander
from elsa.compiler.planning.products import First, Product, Stored, operands_of
from elsa.compiler.tracing.graph import Node, Ref

FEW = 16  # monomials with the same factors, up to which each has the cheapest head of its own
MAX_FACTORS = 16  # of a chain that is cut in every way: the ways grow with its fourth power


# Orientations of the operands -> whether a constant may stand left of them, and after the first.
# The first is taken where all cost the same: a symmetric value is read as it lies, which is faster.
_PAIRS = {(False, False): (False, True), (True, False): (True, False), (False, True): (False, True)}
_TRIPLE = (False, True, False)


class Planner:
    """Finds heads for the monomials of one step.

    Args:
      expander: gives the monomials of kept values.
      invariant: whether a node is the same at every step.
      depth: how often the step runs, the price of a layer of the step.
      regroup: True multiplies the factors of a chain in any order; False in the step's.
      twin: whether a state's transpose may be carried beside it.
      begun: leaf -> the layer of the prologue after which it is there; 0 for all others.
    """

    def __init__(
        self,
        expander: Expander,
        invariant: Callable[[Node], bool],
        depth: int,
        *,
        regroup: bool = False,
        twin: Callable[[Node], bool] = lambda _: True,
        base: "Planner | None" = None,
        begun: Mapping[Node, int] = MappingProxyType({}),
    ) -> None:
        self.expander, self.invariant, self.depth = expander, invariant, depth
        self.regroup, self.twin, self.base, self.begun = regroup, twin, base, begun
        self._stored: dict[Chain, Stored] = {}

    def is_invariant(self, chain: Chain) -> bool:
        """True where no factor and no constant of the chain changes from step to step."""
        nodes = [ref.node for ref in (*chain.consts, *chain.factors) if ref is not None]
        return all(self.invariant(node) for node in nodes)

    def stored(self, chain: Chain) -> Stored:
        """The cheapest way to have a chain stored."""
        if self.base is not None and self.is_invariant(chain):
            return self.base.stored(chain)
        if chain not in self._stored:
            self._stored[chain] = self._store(chain)
        return self._stored[chain]

    def head(self, monomial: Monomial) -> Product:
        """The cheapest head for a monomial, given what it would need stored."""
        return min(self._heads(monomial), key=self._price)

    def heads(self, monomials: Sequence[Monomial]) -> tuple[Product, ...]:
        """A head for each monomial; many with the same factors have one way, the cheapest of all.

        The trace of A B reads one A^T, not e^T A for every e, though each alone is cheaper so.
        """
        alike: dict[tuple[Ref, ...], list[Monomial]] = {}
        for m in monomials:
            alike.setdefault(m.chain.factors, []).append(m)
        chosen: dict[Monomial, Product] = {}
        for group in alike.values():
            if len(group) > FEW:
                ways = zip(*map(self._heads, group), strict=True)
                chosen |= dict(zip(group, min(ways, key=self._joint_price), strict=True))
        return tuple(chosen.get(m) or self.head(m) for m in monomials)

    def turned(self, product: Product, monomial: Monomial) -> Product | None:
        """The cheapest head for the transpose of a monomial that reads what `product` reads.

        A state and its transpose are one only as long as both are computed from the same values:
        w from w^T, and w^T from w, drift apart, exponentially where the step is near the edge of
        stability.
        """
        allowed = {chain for chain, _ in product.operands}
        ways = [
            way
            for way in self._heads(monomial)
            if all(chain in allowed or self.is_invariant(chain) for chain, _ in way.operands)
        ]
        return min(ways, key=self._price, default=None)

    def reach(self, products: tuple[Product, ...]) -> Stored:
        """Level, prologue, heads and entries at which all operands are there."""
        operands = [self.stored(chain) for chain in operands_of(products)]
        return Stored(
            max((s.level for s in operands), default=0),
            max((s.prologue for s in operands), default=0),
            sum(s.heads for s in operands) + len(products),
            sum(s.entries for s in operands),
            products,
        )

    def _price(self, product: Product) -> tuple[int, int, int, int]:
        need = self.reach((product,))
        channels = sum(
            chain.shape[1] for chain, _ in product.operands
        )  # a tall value, not its transpose
        return need.level * self.depth + need.prologue, need.heads, need.entries, channels

    def _joint_price(self, products: Iterable[Product]) -> tuple[int, int, int]:
        """Of heads that read what others of them read, which is counted once."""
        together = tuple(products)
        need = self.reach(together)
        read = [self.stored(chain) for chain in dict.fromkeys(operands_of(together))]
        heads, entries = sum(s.heads for s in read), sum(s.entries for s in read)
        return need.level * self.depth + need.prologue, heads + len(together), entries

    def _store(self, chain: Chain) -> Stored:
        rows, columns = chain.shape
        if chain.bare and chain.factors[0].node.kind == "leaf":
            ref = chain.factors[0]
            begun = self.begun.get(ref.node, 0)
            if not ref.flipped:
                return Stored(0, begun, 0, 0)
            turn = Product(self.expander.graph.coefficient(1.0), ((bare(ref.T), True),))
            if self.invariant(ref.node):
                return Stored(0, 1, 1, rows * columns, (turn,))
            if self.twin(ref.node):
                return Stored(0, begun + 1, 2, rows * columns)
            return Stored(1, 0, 1, rows * columns, (turn,))
        if chain.bare:
            monomials = self.expander.define(chain.factors[0])
        else:
            monomials = [Monomial(self.expander.graph.coefficient(1.0), chain)]
        need = self.reach(self.heads(monomials))
        fixed = self.is_invariant(chain)
        return dataclasses.replace(
            need,
            level=0 if fixed else need.level + 1,
            prologue=need.prologue + 1 if fixed else need.prologue,
            entries=need.entries + rows * columns,
        )

    def _heads(self, m: Monomial) -> Iterator[Product]:
        """Every head that computes the monomial."""
        chain, count = m.chain, len(m.chain.factors)
        if count == 0:
            yield Product(m.coefficient, (), left=chain.consts[0])
        elif count == 1:
            ref = chain.factors[0]
            operand = (bare(Ref(ref.node)), ref.flipped)
            yield Product(m.coefficient, (operand,), left=chain.consts[0], right=chain.consts[1])
        else:
            for cut in self._cuts(chain):
                yield from self._pairs(m, cut)
            for cut, second, first in self._double_cuts(chain):
                yield from self._triples(m, cut, second, first)

    def _double_cuts(
        self, chain: Chain
    ) -> Iterator[tuple[int, int, Literal["left", "right"] | None]]:
        """Where a chain may be cut into three, and which two parts are multiplied first."""
        if self.regroup:
            for cut, second in itertools.combinations(self._cuts(chain), 2):
                yield cut, second, None
            return
        factors = chain.factors
        for top in self.expander.cuts(factors):
            for cut in self.expander.cuts(factors[:top]):
                yield cut, top, "left"
            for cut in self.expander.cuts(factors[top:]):
                yield top, top + cut, "right"

    def _cuts(self, chain: Chain) -> list[int]:
        """Where a chain may be cut: where the step does, or, regrouped, anywhere, but a long one
        near its thirds and its middle, and where what changes meets what does not."""
        if not self.regroup:
            return self.expander.cuts(chain.factors)
        count = len(chain.factors)
        if count <= MAX_FACTORS:
            return list(range(1, count))
        sizes = [3**power for power in range(count) if 3 * count > 4 * 3**power > count]
        sizes += [count // 3, -(-count // 3), count // 2]
        fixed = [self.invariant(factor.node) for factor in chain.factors]
        borders = [place for place in range(1, count) if fixed[place] != fixed[place - 1]]
        balanced = {place for size in sizes for place in (size, count - size)}
        return sorted({*borders[:MAX_FACTORS], *balanced})

    def _pairs(self, m: Monomial, cut: int) -> Iterator[Product]:
        chain, count = m.chain, len(m.chain.factors)
        first, joint, last = chain.consts[0], chain.consts[cut], chain.consts[-1]
        for flips, (left_free, middle_free) in _PAIRS.items():
            outer, inner = (first, None) if left_free else (None, first)
            for middle, (before, after) in _placed(joint, middle_free):
                segments = (
                    chain.part(0, cut, inner, before),
                    chain.part(cut, count, after, None),
                )
                yield self._product(m, segments, flips, outer, middle, last)

    def _triples(self, m: Monomial, cut: int, second: int, first: First) -> Iterator[Product]:
        chain, count = m.chain, len(m.chain.factors)
        for _, (before, after) in _placed(chain.consts[second], False):
            segments = (
                chain.part(0, cut, chain.consts[0], None),
                chain.part(cut, second, None, before),
                chain.part(second, count, after, None),
            )
            product = self._product(m, segments, _TRIPLE, None, chain.consts[cut], chain.consts[-1])
            yield dataclasses.replace(product, first=first)

    def _product(
        self,
        m: Monomial,
        segments: tuple[Chain, ...],
        flips: tuple[bool, ...],
        left: Ref | None,
        middle: Ref | None,
        right: Ref | None,
    ) -> Product:
        operands = tuple(
            (self._natural(segment.T if flip else segment), flip)
            for segment, flip in zip(segments, flips, strict=True)
        )
        return Product(m.coefficient, operands, left, middle, right)

    def _natural(self, chain: Chain) -> Chain:
        """A flipped symmetric value is the value."""
        if chain.bare and chain.factors[0].flipped:
            node = chain.factors[0].node
            if self.expander.is_symmetric(node):
                return bare(Ref(node))
        return chain


def _placed(
    const: Ref | None, free: bool
) -> list[tuple[Ref | None, tuple[Ref | None, Ref | None]]]:
    """Where a constant between two operands may go: at the head, or into one of the operands."""
    if const is None:
        return [(None, (None, None))]
    if free:
        return [(const, (None, None))]
    return [(None, (const, None)), (None, (None, const))]


def needed(planner: Planner, targets: Mapping[Chain, tuple[Product, ...]]) -> dict[Chain, Stored]:
    """Every chain that the targets need stored, and what those need, operands first."""
    needed: dict[Chain, Stored] = {}
    waiting = [c for products in targets.values() for c in operands_of(products)][::-1]
    while waiting:
        chain = waiting[-1]
        stored = planner.stored(chain)
        missing = [c for c in operands_of(stored.products) if c not in needed]
        if missing and chain not in needed:
            waiting += missing[::-1]
        else:
            needed.setdefault(waiting.pop(), stored)
    return needed
