"""Residuals carried as states, so that a step of two layers takes one.

A residual r = f(s) of the states s, such as X w - y, is a layer of its own: the step multiplies it
only afterwards. Where the step updates s by adding to it, s' = c s + g(s, r), the residual of the
next step is a sum of products of what is there already,

    r' = f(s')        X w' - y = X w + X (w' - w) - y = X w - y - eta X X^T r,

and can be computed beside s'. It is computed from the states of this step, never from r alone, so
that its rounding is that of f and does not add up over the steps. A combination of states with
numbers, as w + 0.5 (w - u), is carried in the same way whatever the step does to them.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from elsa.compiler.graph import Graph, Node, Ref, leaves_of, reachable, varies
from elsa.compiler.polynomial import MAX_TERMS
from elsa.compiler.written import as_written

Term = tuple[np.ndarray, Ref]


def carry(
    graph: Graph, states: Mapping[str, Ref], residuals: Iterable[Node]
) -> tuple[dict[str, Ref], dict[str, Ref]]:
    """The states' new values with residuals as further states, and what each residual is.

    Args:
      graph: the step's values, to which the new ones are added.
      states: name of a block -> its value after one step.
      residuals: sums to carry; those that cannot be are left as they are.

    Returns:
      name -> value after one step, the residuals' included, and name of a residual -> its value
      from the states. The second is empty where none can be carried.
    """
    leaves = {name: graph.leaf(name, ref.shape) for name, ref in states.items()}
    before = _spread(leaves, states)
    starts: dict[str, Ref] = {}
    held: dict[Node, Ref] = {}
    for node in residuals:
        moving = leaves_of(Ref(node)) & {leaf.node for leaf in leaves.values()}
        grows = all(Ref(leaf) in (term for _, term in before[leaf]) for leaf in moving)
        combines = all(term.node.kind == "leaf" for _, term in _terms(Ref(node)))
        if (grows or combines) and not _varies(node):
            name = _unused(graph, "z" if combines else "r")
            starts[name] = Ref(node)
            held[node] = graph.leaf(name, node.shape)
    now = {name: substituted(graph, ref, held) for name, ref in states.items()}
    after = _spread(leaves, now)
    for name, start in list(starts.items()):
        terms = _distributed(graph, start, after)
        if terms is None:
            return dict(states), {}
        now[name] = graph.add(terms)
    return now, starts


def substituted(graph: Graph, ref: Ref, values: Mapping[Node, Ref]) -> Ref:
    """A value with some of the nodes that it is made of replaced."""
    found = dict(values)
    for node in reachable([ref]):
        if node in found:
            continue
        parts = [(c, _turned(found[part.node], part.flipped)) for c, part in node.parts]
        same = all(new == old for (_, new), (_, old) in zip(parts, node.parts, strict=True))
        found[node] = Ref(node) if same else _rebuilt(graph, node, parts)
    return _turned(found[ref.node], ref.flipped)


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


def _unused(graph: Graph, letter: str) -> str:
    """A name that no block has."""
    taken = {node.name for node in graph.nodes.values()}
    names = (f"{letter}{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([letter], names) if name not in taken)


def _varies(node: Node) -> bool:
    """Whether a number in the value depends on t: the next step's is not this step's."""
    numbers = [c for n in reachable([Ref(node)]) for c, _ in n.parts if c is not None]
    numbers += [n.array for n in reachable([Ref(node)]) if n.array is not None]
    return any(varies(array) for array in numbers)


def _spread(leaves: Mapping[str, Ref], values: Mapping[str, Ref]) -> dict[Node, list[Term]]:
    """Leaf of a state -> the terms of its new value, which end at sums of their own."""
    keep = as_written(reachable(values.values()))
    return {leaves[name].node: _terms(ref, keep) for name, ref in values.items()}


def _terms(ref: Ref, keep: Collection[Node] = ()) -> list[Term]:
    """A sum as its terms; sums in sums too, but for those in `keep`."""
    terms: list[Term] = []
    waiting: list[Term] = [(np.ones(1), ref)]
    while waiting:
        coefficient, value = waiting.pop()
        if value.node.kind == "add" and (value == ref or value.node not in keep):
            waiting += [
                (coefficient * c, _turned(part, value.flipped))
                for c, part in value.node.parts
                if c is not None
            ]
        else:
            terms.append((coefficient, value))
    return terms


def _distributed(graph: Graph, ref: Ref, after: Mapping[Node, list[Term]]) -> list[Term] | None:
    """The terms of a value whose leaves have become sums; None where they are too many."""
    found: dict[Node, list[Term]] = {}

    def is_fixed(value: Ref) -> bool:
        return not leaves_of(value) & after.keys()

    def terms_of(part: Ref) -> list[Term]:
        return [(c, _turned(term, part.flipped)) for c, term in found[part.node]]

    for node in reachable([ref]):
        if node in after:
            found[node] = after[node]
        elif is_fixed(Ref(node)):
            found[node] = [(graph.coefficient(1.0), Ref(node))]
        elif node.kind == "add":
            scaled = [(c, terms_of(part)) for c, part in node.parts if c is not None]
            found[node] = [(c * inner, term) for c, terms in scaled for inner, term in terms]
        else:
            left, right = (terms_of(part) for _, part in node.parts)
            combine = _product if node.kind == "mul" else _scaled
            found[node] = [
                (a * b, combine(graph, first, second, is_fixed))
                for a, first in left
                for b, second in right
            ]
        if len(found[node]) > MAX_TERMS:
            return None
    return [(c * graph.coefficient(1.0), term) for c, term in terms_of(ref)]


def _scaled(graph: Graph, scalar: Ref, value: Ref, is_fixed: Callable[[Ref], bool]) -> Ref:
    return graph.scale(scalar, value)


def _product(graph: Graph, a: Ref, b: Ref, is_fixed: Callable[[Ref], bool]) -> Ref:
    """A (s B) is (s A) B where s and A never change: s A is computed once, before the steps."""
    for fixed, other, first in ((a, b, True), (b, a, False)):
        scalar, rest = _factored(other, is_fixed)
        if scalar is not None and is_fixed(fixed):
            scaled = graph.stored(graph.scale(scalar, fixed))
            return graph.mul(scaled, rest) if first else graph.mul(rest, scaled)
    return graph.mul(a, b)


def _factored(value: Ref, is_fixed: Callable[[Ref], bool]) -> tuple[Ref | None, Ref]:
    """The data of one entry that never changes, and the rest, of a product with such a factor."""
    if value.node.kind in ("mul", "scale") and not is_fixed(value):
        left, right = (_turned(part, value.flipped) for _, part in value.node.parts)
        for scalar, rest in ((left, right), (right, left)):
            if scalar.shape == (1, 1) and rest.shape == value.shape and is_fixed(scalar):
                return scalar, rest
    return None, value
