"""Values of a step as sums of chains, with numbers and 1 x 1 data factors in front.

Products are distributed over the sums that are not kept. A 1 x 1 factor commutes with everything,
so it waits until the chain is complete and then takes a place where the chain has width 1; where
there is none, s B is written as the sum of B e_i s e_i^T, or of e_i s e_i^T B where B is very wide.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from elsa.compiler.planning.chains import Chain, Monomial, bare, first_constant, order, width_one
from elsa.compiler.tracing import constants
from elsa.compiler.tracing.graph import Graph, Node, Ref, constant_of, number

MAX_TERMS = 64  # monomials of one product; beyond it a sum is computed before it is multiplied


class TooManyTermsError(Exception):
    """A product that would be distributed into more than MAX_TERMS monomials."""


class Expander:
    """Expands values into monomials; sums in `keep` stay whole.

    renamed: nodes that are another value here, as a state's new value is after the last step.
    """

    def __init__(
        self, graph: Graph, keep: frozenset[Node], renamed: Mapping[Node, Ref] | None = None
    ) -> None:
        self.graph, self.keep = graph, keep
        self.renamed = renamed or {}
        self._memo: dict[Ref, list[Monomial]] = {}
        self._splits: dict[tuple[Ref, ...], int] = {}
        self._symmetric: dict[Node, bool] = {}

    def is_kept(self, node: Node) -> bool:
        return node.stored or node in self.keep

    def define(self, ref: Ref) -> list[Monomial]:
        """The monomials that compute a value itself, kept or not, scalars placed."""
        if ref.node.kind == "sum":
            monomials = [m.T if ref.flipped else m for m in ref.node.monomials]
        elif self.is_kept(ref.node) and ref.node not in self.renamed:
            monomials = [m.T if ref.flipped else m for m in self._parts(ref.node)]
        else:
            monomials = self._expand(ref)
        placed = [m for monomial in monomials for m in self._place(monomial)]
        return self._collect(placed)

    def is_symmetric(self, node: Node) -> bool:
        """True where a kept value equals its transpose as an expression."""
        if node.kind == "leaf" or node.shape[0] != node.shape[1]:
            return False
        if node not in self._symmetric:
            self._symmetric[node] = False  # while its parts are checked
            mine = {m.chain: m.coefficient for m in self.define(Ref(node))}
            other = {m.chain: m.coefficient for m in self.define(Ref(node, True))}
            self._symmetric[node] = mine.keys() == other.keys() and all(
                np.array_equal(mine[chain], other[chain]) for chain in mine
            )
        return self._symmetric[node]

    def cuts(self, factors: tuple[Ref, ...]) -> list[int]:
        """Where the step itself multiplies a left and a right part to get the product of factors.

        Data of one entry commutes with everything: it may be cut off, or go with either part. Every
        place for products of which no order is known.
        """
        core = _core(factors)
        split = self._split(core)
        allowed = range(len(core) + 1) if split is None else (0, split, len(core))
        places = range(1, len(factors))
        return [place for place in places if len(_core(factors[:place])) in allowed]

    def _multiplied(self, left: tuple[Ref, ...], right: tuple[Ref, ...]) -> tuple[Ref, ...]:
        """The factors of a product, and where it is put together, for `cuts`."""
        ahead, behind = _core(left), _core(right)
        if ahead and behind:
            self._splits.setdefault(ahead + behind, len(ahead))
        return left + right

    def _split(self, factors: tuple[Ref, ...]) -> int | None:
        """How many factors the left part of the product has as the step forms it."""
        if factors in self._splits:
            return self._splits[factors]
        turned = self._splits.get(tuple(factor.T for factor in reversed(factors)))
        return None if turned is None else len(factors) - turned

    def _expand(self, ref: Ref) -> list[Monomial]:
        if ref not in self._memo:
            for below in self._below(ref):  # in order of creation, so that nothing recurses
                self._memo[below] = self._expanded(below)
        return self._memo[ref]

    def _below(self, ref: Ref) -> list[Ref]:
        """The value and its parts, as far as they are not expanded yet, parts first."""
        below, waiting = {ref}, [ref]
        while waiting:
            node = waiting.pop().node
            if node in self.renamed or node.kind == "leaf" or self.is_kept(node):
                continue
            new = {part for _, part in node.parts} - below - self._memo.keys()
            below |= new
            waiting += new
        return sorted(below, key=lambda ref: (ref.node.uid, ref.flipped))

    def _expanded(self, ref: Ref) -> list[Monomial]:
        one = self.graph.coefficient(1.0)
        if ref.node in self.renamed:
            now = self.renamed[ref.node]
            ref = now.T if ref.flipped else now
        node = ref.node
        if node.kind == "const":
            return [Monomial(one, Chain((ref,), ()))]
        if node.kind in ("leaf", "sum") or self.is_kept(node):
            flipped = ref.flipped and not self.is_symmetric(node)
            return [Monomial(one, bare(Ref(node, flipped)))]
        monomials = self._parts(node)
        return [m.T for m in monomials] if ref.flipped else monomials

    def _parts(self, node: Node) -> list[Monomial]:
        if node.kind == "add":
            scaled = [
                Monomial(m.coefficient * coefficient, m.chain, m.scalars)
                for coefficient, part in node.parts
                for m in self._expand(part)
            ]
            return self._collect(scaled)
        left, right = (self._expand(part) for _, part in node.parts)
        if len(left) * len(right) > MAX_TERMS:
            raise TooManyTermsError
        combine = self._scale if node.kind == "scale" else self._product
        pairs = [combine(a, b) for a in left for b in right]
        return self._collect([m for m in pairs if m is not None])

    def _product(self, a: Monomial, b: Monomial) -> Monomial | None:
        joint = self._joined(a.chain.consts[-1], b.chain.consts[0])
        coefficient = a.coefficient * b.coefficient
        consts = list(a.chain.consts[:-1])
        factors = self._multiplied(a.chain.factors, b.chain.factors)
        consts += [joint, *b.chain.consts[1:]]
        if joint is not None:
            if constants.is_zero(constant_of(joint)):
                return None
            multiple = constants.identity_multiple(constant_of(joint)) if factors else None
            if multiple is not None:
                coefficient, consts[len(a.chain.consts) - 1] = coefficient * multiple, None
        return Monomial(coefficient, Chain(tuple(consts), factors), a.scalars + b.scalars)

    def _joined(self, a: Ref | None, b: Ref | None) -> Ref | None:
        if a is None or b is None:
            return b if a is None else a
        return self.graph.const(constants.multiplied(constant_of(a), constant_of(b)))

    def _scale(self, scalar: Monomial, m: Monomial) -> Monomial | None:
        coefficient = scalar.coefficient * m.coefficient
        scalars = scalar.scalars + m.scalars
        if scalar.chain.factors:
            scalars += (scalar.chain,)
        else:
            coefficient = coefficient * number(first_constant(scalar.chain))
        return Monomial(coefficient, m.chain, scalars)

    def _place(self, monomial: Monomial) -> list[Monomial]:
        """The scalars put into the chain where it has width 1, else by unit vectors at its end."""
        if not monomial.scalars:
            return [monomial]
        scalar, *rest = sorted(monomial.scalars, key=order)
        chain, place = monomial.chain, width_one(monomial.chain)
        if place is not None:
            parts = [self._inserted(chain, scalar, *place)]
        else:
            rows, columns = chain.shape
            turned = rows < columns and columns > MAX_TERMS  # fewer heads, but one more layer
            along = chain.T if turned else chain
            units = [self.graph.unit(i, along.shape[1]) for i in range(along.shape[1])]
            parts = [self._at_end(along, e, scalar) for e in units]
            parts = [part.T for part in parts] if turned else parts
        spread = [Monomial(monomial.coefficient, part, tuple(rest)) for part in parts]
        return [placed for part in spread for placed in self._place(self._tidied(part))]

    def _inserted(self, chain: Chain, scalar: Chain, index: int, before: bool) -> Chain:
        """The scalar at one constant of the chain, before it or after it."""
        split = chain.consts[index]
        ahead, behind = (None, split) if before else (split, None)
        consts = (
            *chain.consts[:index],
            self._joined(ahead, scalar.consts[0]),
            *scalar.consts[1:-1],
            self._joined(scalar.consts[-1], behind),
            *chain.consts[index + 1 :],
        )
        scaled = self._multiplied(chain.factors[:index], scalar.factors)
        return Chain(consts, self._multiplied(scaled, chain.factors[index:]))

    def _at_end(self, chain: Chain, unit: Ref, scalar: Chain) -> Chain:
        """B e s e^T."""
        consts = (
            *chain.consts[:-1],
            self._joined(self._joined(chain.consts[-1], unit), scalar.consts[0]),
            *scalar.consts[1:-1],
            self._joined(scalar.consts[-1], unit.T),
        )
        return Chain(consts, self._multiplied(chain.factors, scalar.factors))

    def _tidied(self, m: Monomial) -> Monomial:
        """Constants that are multiples of I go into the coefficient."""
        coefficient, consts = m.coefficient, list(m.chain.consts)
        for index, const in enumerate(consts):
            multiple = None
            if const and m.chain.factors:
                multiple = constants.identity_multiple(constant_of(const))
            if multiple is not None:
                coefficient, consts[index] = coefficient * multiple, None
        return Monomial(coefficient, Chain(tuple(consts), m.chain.factors), m.scalars)

    def _collect(self, monomials: Sequence[Monomial]) -> list[Monomial]:
        """Equal chains added up, zeros dropped, constants of one place added up."""
        total: dict[tuple[Chain, tuple[Chain, ...]], np.ndarray] = {}
        for m in monomials:
            key = (m.chain, tuple(sorted(m.scalars, key=order)))
            total[key] = total.get(key, 0.0) + m.coefficient
        collected = [
            Monomial(c, chain, scalars) for (chain, scalars), c in total.items() if np.any(c != 0)
        ]
        return _merge_constants(self.graph, collected)


def _core(factors: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """The factors of more than one entry."""
    return tuple(factor for factor in factors if factor.shape != (1, 1))


def _merge_constants(graph: Graph, monomials: list[Monomial]) -> list[Monomial]:
    """C A + D A = (C + D) A, and so on the right, and C + D; plain multiples of A stay apart."""
    groups: dict[object, list[Monomial]] = {}
    for m in monomials:
        consts = m.chain.consts
        if not m.chain.factors:
            key: object = ("constant", m.scalars)
        elif len(m.chain.factors) == 1 and consts[0] is not None:
            key = (m.chain.factors, consts[1], m.scalars)
        else:
            key = m
        groups.setdefault(key, []).append(m)
    merged = []
    for group in groups.values():
        if len(group) == 1:
            merged += group
            continue
        parts = [(m.coefficient, constant_of(first_constant(m.chain))) for m in group]
        total, first = constants.summed(parts), group[0]
        if not constants.is_zero(total):
            consts = (graph.const(total), *first.chain.consts[1:])
            chain = Chain(consts, first.chain.factors)
            merged.append(Monomial(graph.coefficient(1.0), chain, first.scalars))
    return merged
