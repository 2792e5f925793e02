"""One candidate as layers: what the prologue, the step and the epilogue assign."""

import contextlib
from collections.abc import Collection, Mapping
from typing import NamedTuple

from elsa.compiler.planning.chains import Chain, Monomial, bare
from elsa.compiler.planning.layers import Assign, Layer, Schedule
from elsa.compiler.planning.plan import Planner, needed
from elsa.compiler.planning.polynomial import Expander, TooManyTermsError
from elsa.compiler.planning.products import Product
from elsa.compiler.tracing.constants import Constant, varies
from elsa.compiler.tracing.graph import Graph, Node, Ref, leaves_of, reachable

DEEP = 50  # kept values from which on they are planned one by one, so that nothing recurses


class LateStartError(Exception):
    """A residual that takes a layer of the step to begin with."""


class NoTwinError(Exception):
    """A state's transpose that cannot be computed from what the state is computed from."""


class Step(NamedTuple):
    """What is planned.

    graph: the step's values.
    states: name of a block -> its value after one step.
    starts: name of a residual among the states -> its value from the others.
    depth: how often the step runs.
    """

    graph: Graph
    states: Mapping[str, Ref]
    starts: Mapping[str, Ref]
    depth: int


class Candidate(NamedTuple):
    """One way to plan it.

    keep: the values computed as they stand.
    before: of these, new values of states that are added up before they are written.
    regroup: whether products are formed in any order.
    late: whether what no step reads is computed once, after the last.
    turn: whether the transpose of a state may be carried beside it.
    """

    keep: frozenset[Node]
    before: frozenset[Node]
    regroup: bool
    late: bool
    turn: bool


class Scheduler:
    """Plans one candidate."""

    def __init__(self, step: Step, candidate: Candidate) -> None:
        self.graph, self.states, self.starts, self.depth = graph, states, starts, depth = step
        keep, self.before, self.regroup, late, self.turn = candidate
        self.leaves = {name: graph.leaf(name, ref.shape) for name, ref in states.items()}
        self.late = self._late() if late else set()
        moving = {self.leaves[name].node for name in states if name not in self.late}
        self._moving: dict[Node, bool] = dict.fromkeys(moving, True)
        self.expander = Expander(graph, keep)
        # A layer before the step serves every iteration of a loop in it, as it serves every step.
        self.nodes = reachable([*states.values(), *starts.values()])
        self.rounds = 2 if any(node.carried for node in self.nodes) else 1
        rounds = max(depth, self.rounds)
        self.begun: dict[Node, int] = {}
        self.planner = Planner(
            self.expander,
            self._invariant,
            rounds,
            regroup=self.regroup,
            twin=lambda _: self.turn,
            begun=self.begun,
        )
        self._prepare(self.planner)
        self.first = {bare(self.leaves[name]): self._start(name) for name in starts}
        # After the last step, the states' new values are leaves again.
        self.late_expander = Expander(graph, keep, self._new_values(self.late))

    def _prepare(self, planner: Planner) -> None:
        """Plans many kept values in order of creation, so that none recurses through all before."""
        for node in self.nodes:
            self._invariant(node)
        kept = [n for n in self.nodes if planner.expander.is_kept(n) and n.kind != "leaf"]
        for node in kept if len(kept) > DEEP else ():
            with contextlib.suppress(TooManyTermsError):
                planner.stored(bare(Ref(node)))
                planner.stored(bare(Ref(node, True)))

    def _start(self, name: str) -> tuple[Product, ...]:
        """The heads that compute a residual before the first step."""
        monomials = self.expander.define(self.starts[name])
        products = self.planner.heads(monomials)
        need = self.planner.reach(products)
        if need.level:
            raise LateStartError
        self.begun[self.leaves[name].node] = need.prologue + 1
        return products

    def _invariant(self, node: Node) -> bool:
        if node not in self._moving:
            numbers: list[Constant] = [c for c, _ in node.parts if c is not None]
            numbers += [node.constant] if node.constant is not None else []
            if any(varies(array) for array in numbers):
                self._moving[node] = True
                return False
            inner = [part.node for _, part in node.parts]
            inner += [f.node for m in node.monomials for f in m.chain.factors]
            self._moving[node] = any(not self._invariant(part) for part in inner)
        return not self._moving[node]

    def _new_values(self, late: Collection[str]) -> dict[Node, Ref]:
        """The states' new values, as nodes -> the leaf that holds them after the last step."""
        return {
            ref.node: Ref(self.leaves[name].node, ref.flipped)
            for name, ref in self.states.items()
            if name not in late and ref.node.kind not in ("leaf", "const")
        }

    def _late(self) -> set[str]:
        """States that no step reads and that follow from the other states' new values."""
        names = {ref.node: name for name, ref in self.leaves.items()}
        # What a residual is computed from has to be there after every step, and not at the end.
        values = [*self.states.values(), *self.starts.values()]
        read = {names[leaf] for ref in values for leaf in leaves_of(ref) if leaf in names}
        late = set(self.states) - read
        while True:
            stops = self._new_values(late).keys()
            wrong = {name for name in late if leaves_of(self.states[name], stops) & names.keys()}
            if not wrong:
                return late
            late -= wrong

    def run(self) -> Schedule:
        """The layers.

        Raises:
          TooManyTermsError: where a product has too many terms to be distributed.
          LateStartError: where a residual takes a layer of the step to begin with.
          NoTwinError: where a state's transpose cannot follow the state.
        """
        targets: dict[Chain, tuple[Product, ...]] = {}
        planned: dict[Chain, list[Monomial]] = {}
        queue = [bare(self.leaves[name]) for name in self.states if name not in self.late]
        queue += [chain for chain in needed(self.planner, self.first) if self._is_twin(chain)]
        late_monomials = self._final()
        while queue:
            chain = queue.pop(0)
            if chain in targets:
                continue
            ref = chain.factors[0]
            if ref.flipped:
                state = bare(ref.T)
                targets[chain] = self._twin(targets[state], planned[state])
                continue
            value = self.states[ref.node.name]
            planned[chain] = self._hoisted(self._defined(self.expander, value), ref.shape)
            targets[chain] = self.planner.heads(planned[chain])
            for other in needed(self.planner, {chain: targets[chain]}):
                if self._is_twin(other):
                    queue.append(other)
        self.twins = {chain for chain in targets if chain.factors[0].flipped}
        late_planner = Planner(
            self.late_expander,
            self._invariant,
            self.rounds,
            regroup=self.regroup,
            twin=lambda node: bare(Ref(node, True)) in self.twins,
            base=self.planner,
        )
        self._prepare(late_planner)
        final = {
            chain: late_planner.heads(monomials) for chain, monomials in late_monomials.items()
        }
        return self._layers(targets, late_planner, final)

    def _twin(
        self, products: tuple[Product, ...], monomials: list[Monomial]
    ) -> tuple[Product, ...]:
        """The heads of a state's transpose, term by term from what the state's are made of."""
        turned_products = []
        for product, monomial in zip(products, monomials, strict=True):
            turned = self.planner.turned(product, monomial.T)
            if turned is None:
                raise NoTwinError
            turned_products.append(turned)
        return tuple(turned_products)

    def _final(self) -> dict[Chain, list[Monomial]]:
        return {
            bare(self.leaves[name]): self._hoisted(
                self._defined(self.late_expander, self.states[name]), self.leaves[name].shape
            )
            for name in self.states
            if name in self.late
        }

    def _defined(self, expander: Expander, value: Ref) -> list[Monomial]:
        """The monomials that a state becomes; one for a sum that is added up before."""
        if value.node in self.before:
            return [Monomial(self.graph.coefficient(1.0), bare(value))]
        return expander.define(value)

    def _is_twin(self, chain: Chain) -> bool:
        ref = chain.factors[0] if chain.bare else None
        return (
            self.turn
            and ref is not None
            and ref.flipped
            and ref.node.kind == "leaf"
            and not self._invariant(ref.node)
        )

    def _hoisted(self, monomials: list[Monomial], shape: tuple[int, int]) -> list[Monomial]:
        """The monomials that never change, as one value of the prologue, where that saves work."""
        if self.depth == 1:
            return monomials
        one = self.graph.coefficient(1.0)
        monomials = [self._alone(m) for m in monomials]
        fixed = [
            m for m in monomials if self.planner.is_invariant(m.chain) and not varies(m.coefficient)
        ]
        if not any(len(m.chain.factors) > 1 for m in fixed):
            return monomials
        constant = self.graph.sum(fixed, shape)
        return [*(m for m in monomials if m not in fixed), Monomial(one, bare(constant))]

    def _alone(self, m: Monomial) -> Monomial:
        """A product that never changes, apart from a coefficient that does."""
        if len(m.chain.factors) < 2 or not self.planner.is_invariant(m.chain):
            return m
        if not varies(m.coefficient):
            return m
        product = Monomial(self.graph.coefficient(1.0), m.chain)
        return Monomial(m.coefficient, bare(self.graph.sum([product], m.chain.shape)))

    def _layers(
        self,
        targets: dict[Chain, tuple[Product, ...]],
        late_planner: Planner,
        final: dict[Chain, tuple[Product, ...]],
    ) -> Schedule:
        in_step = needed(self.planner, targets)
        at_end = needed(late_planner, final)
        prologue: dict[int, list[Assign]] = {}
        step: dict[int, list[Assign]] = {}
        epilogue: dict[int, list[Assign]] = {}
        refresh: dict[int, list[Assign]] = {}  # a transpose by turning, not by heads of its own
        one = self.graph.coefficient(1.0)
        for chain, products in self.first.items():
            for layers in (prologue, refresh):
                self._put(layers, Assign(chain, products))
        for chain in self.twins:
            turn = Assign(chain, (Product(one, ((bare(chain.factors[0].T), True),)),))
            for layers in (prologue, refresh):
                self._put(layers, turn)
        before = {**needed(self.planner, self.first), **in_step}
        for values, layers in ((before, step), (at_end, epilogue)):
            for chain, stored in values.items():
                if not stored.products and chain.factors[0].node.kind == "leaf":
                    continue  # an input, a state, or its transpose; what cancels to zero is stored
                if not self.planner.is_invariant(chain):
                    layers.setdefault(stored.level, []).append(Assign(chain, stored.products))
                elif layers is step or chain not in before:
                    level = prologue.setdefault(stored.prologue, [])
                    level.append(Assign(chain, stored.products))
        if targets:
            last = 1 + max(self.planner.reach(products).level for products in targets.values())
            for chain, products in targets.items():
                step.setdefault(last, []).append(Assign(chain, products))
        if final:
            last = 1 + max(late_planner.reach(products).level for products in final.values())
            for chain, products in final.items():
                epilogue.setdefault(last, []).append(Assign(chain, products))
        return Schedule(
            _ordered(prologue),
            _ordered(step),
            _ordered(epilogue),
            tuple(targets),
            self.depth,
            _ordered(refresh),
        )

    def _put(self, layers: dict[int, list[Assign]], assign: Assign) -> None:
        """Adds to the layers what is first there after a layer of the prologue."""
        layers.setdefault(self.planner.stored(assign.target).prologue, []).append(assign)


def _ordered(layers: dict[int, list[Assign]]) -> tuple[Layer, ...]:
    return tuple(tuple(layers[index]) for index in sorted(layers))
