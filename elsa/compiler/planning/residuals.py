"""Residuals carried as states, so that a step of two layers takes one.

A residual r = f(s) of the states s, such as X w - y, is a layer of its own: the step multiplies it
only afterwards. Where the step adds to states, s' = c s + g(s, r), the residual of the next step
is a sum of products of what is there already,

    r' = f(s')        X w' - y = X w + X (w' - w) - y = X w - y - eta X X^T r,

and can be computed beside s'. It is computed from the states of this step, never from r alone, so
that its rounding is that of f and does not add up over the steps. A combination of states with
numbers, as w + 0.5 (w - u), is carried in the same way whatever the step does to them.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from elsa.compiler.planning.nested import apart
from elsa.compiler.planning.polynomial import MAX_TERMS
from elsa.compiler.planning.written import as_written
from elsa.compiler.tracing.constants import Constant, varies
from elsa.compiler.tracing.graph import Graph, Node, Ref, leaves_of, reachable

Term = tuple[np.ndarray, Ref]
MAX_COLUMNS = (8, 256)  # of what is scaled by data once, at a head for each: the ways to try


@dataclasses.dataclass(frozen=True)
class _Fixed:
    """Whether a value never changes; and how many columns what is scaled before may have."""

    moving: frozenset[Node]
    columns: int

    def __call__(self, value: Ref) -> bool:
        return leaves_of(value).isdisjoint(self.moving)


def carry(
    graph: Graph, states: Mapping[str, Ref], residuals: Iterable[Node], columns: int
) -> tuple[dict[str, Ref], dict[str, Ref]]:
    """The states' new values with residuals as further states, and what each residual is.

    Args:
      graph: the step's values, to which the new ones are added.
      states: name of a block -> its value after one step.
      residuals: sums to carry; those that cannot be are left as they are.
      columns: of the widest value that is scaled by data before the steps.

    Returns:
      name -> value after one step, the residuals' included, and name of a residual -> its value
      from the states. The second is empty where none can be carried.
    """
    leaves = {name: graph.leaf(name, ref.shape) for name, ref in states.items()}
    before = _spread(graph, leaves, states)
    taken = {leaf.name for ref in states.values() for leaf in leaves_of(ref)} | states.keys()
    starts: dict[str, Ref] = {}
    held: dict[Node, Ref] = {}
    state_leaves = {leaf.node for leaf in leaves.values()}
    is_data = _Fixed(frozenset(state_leaves), columns)
    for node in residuals:
        moving = leaves_of(Ref(node)) & state_leaves
        grows = all(
            any(_factored(term, is_data)[1].node in state_leaves for _, term in before[leaf])
            for leaf in moving
        )
        combines = all(term.node.kind == "leaf" for _, term in _terms(graph, Ref(node)))
        if (grows or combines) and not _varies(node):
            name = _unused({*taken, *starts}, "z" if combines else "r")
            starts[name] = Ref(node)
            held[node] = graph.leaf(name, node.shape)
    now = {name: substituted(graph, ref, held) for name, ref in states.items()}
    after = _spread(graph, leaves, now)
    moving_now = after.keys() | {ref.node for ref in held.values()}

    is_fixed = _Fixed(frozenset(moving_now), columns)

    for name, start in list(starts.items()):
        terms = _distributed(graph, start, after, is_fixed)
        if terms is None:
            return dict(states), {}
        now[name] = graph.add(terms)
    renewed: dict[Node, Ref] = {}
    for name in states if starts else ():
        terms = after[leaves[name].node]
        written = now[name]
        now[name] = graph.add(
            (c * graph.coefficient(1.0), _gathered(graph, term, is_fixed)) for c, term in terms
        )
        if now[name] != written:
            renewed[written.node] = _turned(now[name], written.flipped)
    # What is computed from a state's new value, as its predictions are, goes on being so.
    return {name: substituted(graph, ref, renewed) for name, ref in now.items()}, starts


def substituted(graph: Graph, ref: Ref, values: Mapping[Node, Ref]) -> Ref:
    """A value with some of the nodes that it is made of replaced."""
    replaced = dict(values)
    for node in reachable([ref]):
        if node in replaced:
            continue
        parts = [(c, _turned(replaced[part.node], part.flipped)) for c, part in node.parts]
        same = all(new == old for (_, new), (_, old) in zip(parts, node.parts, strict=True))
        replaced[node] = Ref(node) if same else _rebuilt(graph, node, parts)
    return _turned(replaced[ref.node], ref.flipped)


def _rebuilt(graph: Graph, node: Node, parts: list[tuple[np.ndarray | None, Ref]]) -> Ref:
    if node.kind == "add":
        made = graph.add((c, part) for c, part in parts if c is not None)
    else:
        combine = graph.mul if node.kind == "mul" else graph.scale
        made = combine(parts[0][1], parts[1][1])
    made.node.carried |= node.carried
    made.node.stored |= node.stored
    return made


def _turned(ref: Ref, flipped: bool) -> Ref:
    return ref.T if flipped else ref


def _unused(taken: Collection[str], letter: str) -> str:
    """A name that no block has."""
    names = (f"{letter}{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([letter], names) if name not in taken)


def _varies(node: Node) -> bool:
    """Whether a number in the value depends on t: the next step's is not this step's."""
    nodes = reachable([Ref(node)])
    numbers: list[Constant] = [c for n in nodes for c, _ in n.parts if c is not None]
    numbers += [n.constant for n in nodes if n.constant is not None]
    return any(varies(array) for array in numbers)


def _spread(
    graph: Graph, leaves: Mapping[str, Ref], values: Mapping[str, Ref]
) -> dict[Node, list[Term]]:
    """Leaf of a state -> the terms of its new value, which end at sums of their own."""
    written = as_written(reachable(values.values()), [leaf.node for leaf in leaves.values()])
    outputs = [(leaves[name].node, ref) for name, ref in values.items()]
    keep = written | apart(outputs, written, products=True)
    return {leaves[name].node: _terms(graph, ref, keep) for name, ref in values.items()}


def _terms(graph: Graph, ref: Ref, keep: Collection[Node] = ()) -> list[Term]:
    """A sum as its terms; sums in sums and in multiples too, but for those in `keep`."""
    terms: list[Term] = []
    waiting: list[Term] = [(np.ones(1), ref)]
    while waiting:
        coefficient, value = waiting.pop()
        scalar, rest = None, value
        if value.node.kind in ("mul", "scale"):
            scalar, rest = _factored(value, lambda _: True)
        if rest.node.kind == "add" and (value == ref or rest.node not in keep):
            for c, part in rest.node.parts:
                term = _turned(part, rest.flipped)
                term = term if scalar is None else graph.scale(scalar, term)
                waiting.append((coefficient * c, term))
        else:
            terms.append((coefficient, value))
    return terms


def _distributed(
    graph: Graph, ref: Ref, after: Mapping[Node, list[Term]], is_fixed: _Fixed
) -> list[Term] | None:
    """The terms of a value whose leaves have become sums; None where they are too many."""
    spread: dict[Node, list[Term]] = {}

    def terms_of(part: Ref) -> list[Term]:
        return [(c, _turned(term, part.flipped)) for c, term in spread[part.node]]

    for node in reachable([ref]):
        if node in after:
            spread[node] = after[node]
        elif is_fixed(Ref(node)):
            spread[node] = [(graph.coefficient(1.0), Ref(node))]
        elif node.kind == "add":
            scaled = [(c, terms_of(part)) for c, part in node.parts if c is not None]
            spread[node] = [(c * inner, term) for c, terms in scaled for inner, term in terms]
        else:
            left, right = (terms_of(part) for _, part in node.parts)
            combine = _product if node.kind == "mul" else _scaled
            spread[node] = [
                (a * b, combine(graph, first, second, is_fixed))
                for a, first in left
                for b, second in right
            ]
        if len(spread[node]) > MAX_TERMS:
            return None
    return [(c * graph.coefficient(1.0), term) for c, term in terms_of(ref)]


def _scaled(graph: Graph, scalar: Ref, value: Ref, is_fixed: _Fixed) -> Ref:
    return graph.scale(scalar, value)


def _product(graph: Graph, a: Ref, b: Ref, is_fixed: _Fixed) -> Ref:
    """A (s B) is (s A) B where s and A never change: s A is computed once, before the steps.

    It takes a head for every column of A, so wide A are left: there the planner turns B.
    """
    for fixed, other, first in ((a, b, True), (b, a, False)):
        scalar, rest = _factored(other, is_fixed)
        narrow = fixed.node.shape[1] <= is_fixed.columns
        if scalar is not None and is_fixed(fixed) and narrow and not is_fixed(other):
            scaled = graph.stored(graph.scale(scalar, Ref(fixed.node)))
            pair = (_turned(scaled, fixed.flipped), rest)
            return _product(graph, *(pair if first else pair[::-1]), is_fixed)
    return graph.mul(a, b)


def _gathered(graph: Graph, value: Ref, is_fixed: _Fixed) -> Ref:
    """(A B) s as (s A) B where s and A never change, as in the residuals."""
    scalar, rest = _factored(value, is_fixed)
    if scalar is None or rest.node.kind != "mul":
        return value
    left, right = (_turned(part, rest.flipped) for _, part in rest.node.parts)
    left, right = (right, left) if rest.flipped else (left, right)
    multiple = graph.scale(scalar, right)
    gathered = _product(graph, left, multiple, is_fixed)
    return value if gathered == graph.mul(left, multiple) else gathered


def _factored(value: Ref, is_fixed: Callable[[Ref], bool]) -> tuple[Ref | None, Ref]:
    """The data of one entry that never changes, and the rest, of a product with such a factor."""
    if value.node.kind in ("mul", "scale"):
        left, right = (_turned(part, value.flipped) for _, part in value.node.parts)
        for scalar, rest in ((left, right), (right, left)):
            if scalar.shape == (1, 1) and rest.shape == value.shape and is_fixed(scalar):
                return scalar, rest
    return None, value
