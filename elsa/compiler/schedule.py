"""From the program of a step to layers: what the prologue, the step and the epilogue assign.

Every way to distribute products over sums (or not) is a candidate; each is planned and the one with
the fewest layers, then heads, then stored entries, is taken.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Collection, Mapping

from elsa.compiler.candidates import candidates
from elsa.compiler.graph import Graph, Node, Ref, varies
from elsa.compiler.plan import NoHeadError, Planner, Product, needed
from elsa.compiler.polynomial import Chain, Expander, Monomial, TooManyTermsError, bare

DEEP = 50  # kept values from which on they are planned one by one, so that nothing recurses


@dataclasses.dataclass(frozen=True, eq=False)
class Assign:
    """One value written by a layer: the sum of its products."""

    target: Chain
    products: tuple[Product, ...]


Layer = tuple[Assign, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The layers of a stack.

    prologue, step, epilogue: layers; all values of a layer are read before any is written.
    carried: what the step reads and writes: the states, and transposes carried beside them.
    depth: how often the step runs.
    """

    prologue: tuple[Layer, ...]
    step: tuple[Layer, ...]
    epilogue: tuple[Layer, ...]
    carried: tuple[Chain, ...]
    depth: int

    @property
    def num_layers(self) -> int:
        return len(self.prologue) + self.depth * len(self.step) + len(self.epilogue)

    @property
    def cost(self) -> tuple[int, int, int, int]:
        """Layers, then heads that run, then entries stored, then heads in all."""
        once = sum(_heads(layer) for layer in (*self.prologue, *self.epilogue))
        each = sum(_heads(layer) for layer in self.step)
        stored = {a.target for layer in self.layers for a in layer}
        entries = sum(chain.shape[0] * chain.shape[1] for chain in stored)
        return self.num_layers, once + self.depth * each, entries, once + each

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (*self.prologue, *self.step, *self.epilogue)


def _heads(layer: Layer) -> int:
    return sum(len(assign.products) for assign in layer)


def schedule(
    graph: Graph, outputs: Mapping[str, Ref], depth: int, *, reassociate: bool
) -> Schedule:
    """The best schedule found for `depth` applications of a step.

    Args:
      graph: the step's values.
      outputs: name of a block -> its value after one step.
      depth: how often the step runs; 0 gives no layers.
      reassociate: True lets products be distributed over sums and regrouped; False leaves the
        order as it was written.
    """
    states = {name: ref for name, ref in outputs.items() if ref != graph.leaf(name, ref.shape)}
    if depth == 0 or not states:
        return Schedule((), (), (), (), 0)
    best: Schedule | None = None
    tried = candidates(list(states.values()), reassociate)
    # What no step reads is computed once; where there is one step, whichever has fewer layers.
    when = (True, False) if depth == 1 else (True,)
    for keep, late in itertools.product(tried, when):
        try:
            scheduler = _Scheduler(graph, states, depth, keep, strict=not reassociate, late=late)
            found = scheduler.run()
        except (TooManyTermsError, NoHeadError):
            continue
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None, "keeping every sum and product always has a schedule"
    return best


class _Scheduler:
    """Plans one candidate."""

    def __init__(
        self,
        graph: Graph,
        states: Mapping[str, Ref],
        depth: int,
        keep: frozenset[Node],
        *,
        strict: bool,
        late: bool,
    ) -> None:
        self.graph, self.depth, self.strict = graph, depth, strict
        self.states = states
        self.leaves = {name: graph.leaf(name, ref.shape) for name, ref in states.items()}
        self.late = self._late() if late else set()
        moving = {self.leaves[name].node for name in states if name not in self.late}
        self._moving: dict[Node, bool] = dict.fromkeys(moving, True)
        self.expander = Expander(graph, keep)
        # A layer before the step serves every iteration of a loop in it, as it serves every step.
        self.rounds = 2 if any(node.keep for node in graph.nodes.values()) else 1
        rounds = max(depth, self.rounds)
        self.planner = Planner(self.expander, self._invariant, rounds, strict=strict)
        self._prepare(self.planner)
        # After the last step, the states' new values are leaves again.
        self.late_expander = Expander(graph, keep, self._new_values(self.late))

    def _prepare(self, planner: Planner) -> None:
        """Plans many kept values in order of creation, so that none recurses through all before."""
        nodes = list(self.graph.nodes.values())
        for node in nodes:
            self._invariant(node)
        kept = [n for n in nodes if planner.expander.is_kept(n) and n.kind != "leaf"]
        for node in kept if len(kept) > DEEP else ():
            with contextlib.suppress(TooManyTermsError, NoHeadError):
                planner.stored(bare(Ref(node)))
                planner.stored(bare(Ref(node, True)))

    def _invariant(self, node: Node) -> bool:
        if node not in self._moving:
            numbers = [c for c, _ in node.parts if c is not None]
            numbers += [node.array] if node.array is not None else []
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
        read = {
            names[leaf] for ref in self.states.values() for leaf in leaves_of(ref) if leaf in names
        }
        late = set(self.states) - read
        while True:
            stops = self._new_values(late).keys()
            wrong = {name for name in late if leaves_of(self.states[name], stops) & names.keys()}
            if not wrong:
                return late
            late -= wrong

    def run(self) -> Schedule:
        targets: dict[Chain, tuple[Product, ...]] = {}
        queue = [bare(self.leaves[name]) for name in self.states if name not in self.late]
        late_monomials = self._final()
        while queue:
            chain = queue.pop(0)
            if chain in targets:
                continue
            ref = chain.factors[0]
            value = self.states[ref.node.name]
            monomials = self._hoisted(self.expander.define(value.T if ref.flipped else value), ref)
            targets[chain] = tuple(self.planner.head(m) for m in monomials)
            for other in needed(self.planner, {chain: targets[chain]}):
                if self._is_twin(other):
                    queue.append(other)
        self.twins = {chain for chain in targets if chain.factors[0].flipped}
        late_planner = Planner(
            self.late_expander,
            self._invariant,
            self.rounds,
            strict=self.strict,
            twin=lambda node: bare(Ref(node, True)) in self.twins,
            base=self.planner,
        )
        self._prepare(late_planner)
        final = {
            chain: tuple(late_planner.head(m) for m in monomials)
            for chain, monomials in late_monomials.items()
        }
        return self._layers(targets, late_planner, final)

    def _final(self) -> dict[Chain, list[Monomial]]:
        return {
            bare(self.leaves[name]): self._hoisted(
                self.late_expander.define(self.states[name]), self.leaves[name]
            )
            for name in self.states
            if name in self.late
        }

    def _is_twin(self, chain: Chain) -> bool:
        ref = chain.factors[0] if chain.bare else None
        return (
            ref is not None
            and ref.flipped
            and ref.node.kind == "leaf"
            and not self._invariant(ref.node)
        )

    def _hoisted(self, monomials: list[Monomial], target: Ref) -> list[Monomial]:
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
        if target.flipped:
            constant = self.graph.sum([m.T for m in fixed], target.shape[::-1]).T
        else:
            constant = self.graph.sum(fixed, target.shape)
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
        one = self.graph.coefficient(1.0)
        for chain in self.twins:
            turn = Product(one, ((bare(chain.factors[0].T), True),))
            prologue.setdefault(1, []).append(Assign(chain, (turn,)))
        for values, layers in ((in_step, step), (at_end, epilogue)):
            for chain, stored in values.items():
                if not stored.products and chain.factors[0].node.kind == "leaf":
                    continue  # there already; any other value without products is zero
                if not self.planner.is_invariant(chain):
                    layers.setdefault(stored.level, []).append(Assign(chain, stored.products))
                elif layers is step or chain not in in_step:
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
            _ordered(prologue), _ordered(step), _ordered(epilogue), tuple(targets), self.depth
        )


def _ordered(layers: dict[int, list[Assign]]) -> tuple[Layer, ...]:
    return tuple(tuple(layers[index]) for index in sorted(layers))


def leaves_of(ref: Ref, stops: Collection[Node] = ()) -> set[Node]:
    """The leaves a value is made of, not looking into the nodes of `stops`."""
    seen: set[Node] = set()
    queue = [ref.node]
    while queue:
        node = queue.pop()
        if node in seen or node in stops:
            continue
        seen.add(node)
        queue += [part.node for _, part in node.parts]
    return {node for node in seen if node.kind == "leaf"}
