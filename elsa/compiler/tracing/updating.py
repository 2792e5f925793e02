"""Rules for updates at places known while compiling: `x.at[i].set(v)`, `.add`, `.multiply`.

An update moves entries of the new values to places of the array: sum of P v Q over moves that take
whole columns, or rows, along; what is overwritten is multiplied by zeros.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from elsa.base.checks import matrix_shape
from elsa.base.jax_versions import evaluated
from elsa.base.matrices import of_entries, selection
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.constants import constant_of
from elsa.compiler.tracing.elementwise import elementwise
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.parameters import Requirement, Rule, rule
from elsa.compiler.tracing.values import Known, Operand, Value, as_ref, require_two_axes

_ONLY = "places known while compiling, and set, add, subtract, or multiply by constants, can be run"


def _scatter(
    graph: Graph, eqn: Any, array: Operand, places: Operand, update: Operand
) -> Sequence[Operand]:
    """The last update of a place is what it holds, as jax decides."""
    numbers = _numbered(eqn, places, array, update)
    kept = Known((numbers < 0).astype(np.float64))
    rest = _times(graph, array, kept)
    return [_added(graph, rest, _placed(graph, update, numbers, array.shape), array.shape)]


def _numbered(eqn: Any, places: Operand, array: Operand, update: Operand) -> np.ndarray:
    """For each entry of the array which entry of the update it becomes, -1 where it stays."""
    size = int(np.prod(update.shape))
    numbers = np.arange(size, dtype=np.float64).reshape(update.shape)
    start = np.full(array.shape, -1.0)
    found = [evaluated(eqn, [start, where, numbers])[0] for where in _known(places)]
    return np.asarray(np.stack([np.asarray(one) for one in found]), dtype=int)


def _scatter_add(sign: float) -> Any:
    def added(
        graph: Graph, eqn: Any, array: Operand, places: Operand, update: Operand
    ) -> Sequence[Operand]:
        require_two_axes(update.shape)
        numbers = np.arange(1.0, 1.0 + np.prod(array.shape)).reshape(array.shape)
        start, targets = np.zeros(array.shape), []
        for where in _known(places):  # the transpose takes the numbers of places to the update
            add = lambda u, where=where: evaluated(eqn, [start, where, u])[0]  # noqa: E731
            (seen,) = jax.vjp(add, np.zeros(update.shape))[1](numbers)
            targets.append(np.abs(np.asarray(seen)).astype(int) - 1)
        moved = _moved(graph, update, np.stack(targets), array.shape)
        return [_added(graph, array, graph.scaled(graph.coefficient(sign), moved), array.shape)]

    return added


def _scatter_mul(
    graph: Graph, eqn: Any, array: Operand, places: Operand, update: Operand
) -> Sequence[Operand]:
    if not isinstance(update, Known):
        raise NotLinearError(
            f"an update that multiplies by data; {_ONLY}; for one entry write x.at[i].set(s * x[i])"
        )
    variants = zip(_known(places), update.array, strict=True)
    factors = [
        evaluated(eqn, [np.ones(array.shape), where, np.asarray(u, np.float64)])[0]
        for where, u in variants
    ]
    return [_times(graph, array, Known(np.stack([np.asarray(f) for f in factors])))]


def _dynamic_update_slice(
    graph: Graph, eqn: Any, array: Operand, update: Operand, *starts: Operand
) -> Sequence[Operand]:
    numbers = np.arange(np.prod(update.shape), dtype=np.float64).reshape(update.shape)
    first, found = np.full(array.shape, -1.0), []
    for start in zip(*(_known(start) for start in starts), strict=True):
        found.append(np.asarray(evaluated(eqn, [first, numbers, *start])[0], dtype=int))
    which = np.stack(found) if found else np.zeros((graph.variants,), int)
    rest = _times(graph, array, Known((which < 0).astype(np.float64)))
    return [_added(graph, rest, _placed(graph, update, which, array.shape), array.shape)]


def _known(places: Operand) -> np.ndarray:
    if not isinstance(places, Known):
        raise NotLinearError(f"an update whose place depends on data; {_ONLY}")
    return places.array


def _times(graph: Graph, array: Operand, factor: Known) -> Operand:
    if isinstance(array, Known):
        return Known(np.asarray(array.array, np.float64) * factor.array)
    return elementwise(graph, array, factor, array.shape)


def _added(graph: Graph, array: Operand, other: Ref, shape: tuple[int, ...]) -> Value:
    require_two_axes(shape)
    one = graph.coefficient(1.0)
    return Value(graph.add([(one, as_ref(graph, array)), (one, other)]), shape)


def _placed(graph: Graph, update: Operand, numbers: np.ndarray, shape: tuple[int, ...]) -> Ref:
    """The update at the places that hold the numbers of its entries."""
    flat = numbers.reshape(len(numbers), -1)
    size = int(np.prod(update.shape))
    targets = np.full((len(numbers), size), -1)
    for variant, places in enumerate(flat):
        targets[variant, places[places >= 0]] = np.flatnonzero(places >= 0)
    return _moved(graph, update, targets, shape)


def _moved(graph: Graph, update: Operand, targets: np.ndarray, shape: tuple[int, ...]) -> Ref:
    """Each entry of the update at its target, its number in an array of `shape`; -1 for none.

    The sum of P U Q over equal P, where P moves rows and Q the columns in which it does.
    """
    require_two_axes(shape)
    require_two_axes(update.shape)
    ref, whole = as_ref(graph, update), matrix_shape(shape)
    targets = targets.reshape(len(targets), *ref.shape)
    rows, columns = np.divmod(targets, max(whole[1], 1))
    turned = np.where(targets < 0, -1, columns * whole[0] + rows)
    other = whole[1], whole[0]
    best, way = _moves(targets, whole), (False, False)
    for own, onto in ((True, False), (False, True), (True, True)):  # transposed
        if len(best) > 1:
            given = turned if onto else targets
            moves = _moves(np.swapaxes(given, 1, 2) if own else given, other if onto else whole)
            if len(moves) < len(best):
                best, way = moves, (own, onto)
    own, onto = way
    moved = _sum(graph, ref.T if own else ref, best, other if onto else whole)
    return moved.T if onto else moved


_Way = tuple[np.ndarray, list[tuple[int, int]]]


def _moves(targets: np.ndarray, whole: tuple[int, int]) -> list[_Way]:
    """Moves of rows [variants, own rows], -1 for none, and the pairs of columns that take each."""
    found: dict[bytes, _Way] = {}
    rows, columns = np.divmod(targets, max(whole[1], 1))
    for own in range(targets.shape[2]):
        inside = targets[:, :, own] >= 0
        for column in np.unique(columns[:, :, own][inside]):
            here = inside & (columns[:, :, own] == column)
            onto = np.where(here, rows[:, :, own], -1)
            found.setdefault(onto.tobytes(), (onto, []))[1].append((own, int(column)))
    return list(found.values())


def _sum(graph: Graph, ref: Ref, moves: Sequence[_Way], whole: tuple[int, int]) -> Ref:
    terms = []
    for onto, pairs in moves:
        left = constant_of([selection(rows, whole[0]).T for rows in onto], len(onto))
        own, columns = np.transpose(pairs)
        right = of_entries(np.ones(len(pairs)), own, columns, (ref.shape[1], whole[1]))
        terms.append(graph.mul(graph.mul(graph.const(left), ref), graph.const(right)))
    if not terms:
        return graph.const(np.zeros(whole))
    return graph.add((graph.coefficient(1.0), term) for term in terms)


_PARAMETERS = "dimension_numbers mode"
_HINTS = "indices_are_sorted unique_indices update_consts"
_SETS = Requirement(lambda given: given is None, "a function applied to entries is no update")
RULES: dict[str, Rule] = {
    "dynamic_update_slice": rule(_dynamic_update_slice),
    "scatter": rule(_scatter, reads=_PARAMETERS, ignores=_HINTS, update_jaxpr=_SETS),
    "scatter-add": rule(_scatter_add(1.0), reads=_PARAMETERS, ignores=_HINTS + " update_jaxpr"),
    "scatter-mul": rule(_scatter_mul, reads=_PARAMETERS, ignores=_HINTS + " update_jaxpr"),
    "scatter-sub": rule(_scatter_add(-1.0), reads=_PARAMETERS, ignores=_HINTS + " update_jaxpr"),
}
