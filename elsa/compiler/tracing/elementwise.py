"""Element-wise products with constants, as products with diagonal matrices, and their sums."""

import numpy as np

from elsa.base.checks import matrix_shape
from elsa.base.matrices import diagonal
from elsa.compiler.tracing.constants import constant_of
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.parameters import require_finite
from elsa.compiler.tracing.values import Known, Value, broadcast, whole

WIDE = 64  # columns up to which an inner product of matrices takes a head for each


def elementwise(graph: Graph, value: Value, known: Known, shape: tuple[int, ...]) -> Value:
    """C o B = sum over distinct rows c of C of diag(where C has that row) B diag(c); or columns."""
    array = np.asarray(known.array, dtype=np.float64)
    if array.size and all((variant == variant.flat[0]).all() for variant in array):
        return Value(graph.scaled(array.reshape(len(array), -1)[:, 0], value.ref), shape)
    full = broadcast(array, shape).reshape(len(array), *matrix_shape(shape))
    if value.ref.shape == (1, 1):
        return Value(graph.scale(value.ref, graph.const(full)), shape)
    data = whole(graph, Value(value.ref, shape))
    turned = np.swapaxes(full, 1, 2)
    if _kinds(full) <= _kinds(turned):
        terms = [_between(graph, where, data, line) for where, line in groups(full)]
    else:
        terms = [_between(graph, line, data, where) for where, line in groups(turned)]
    if not terms:
        return Value(graph.const(np.zeros(data.shape)), shape)
    return Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)


def _kinds(full: np.ndarray) -> int:
    """How many distinct non-zero rows [variants, rows, columns] has."""
    lines = (np.ascontiguousarray(full[:, index]) for index in range(full.shape[1]))
    return len({line.tobytes() for line in lines if line.any()})


def groups(full: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distinct non-zero rows of [variants, rows, columns]: (1 where it stands, the row)."""
    groups: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for index in range(full.shape[1]):
        line = np.ascontiguousarray(full[:, index])
        if not line.any():
            continue
        where, _ = groups.setdefault(line.tobytes(), (np.zeros(full.shape[:2]), line))
        where[:, index] = 1.0
    return list(groups.values())


def _between(graph: Graph, left: np.ndarray, data: Ref, right: np.ndarray) -> Ref:
    """diag(left) B diag(right), left and right [variants, size]."""
    before, after = (
        graph.const(constant_of([diagonal(line) for line in lines], len(lines)))
        for lines in (left, right)
    )
    return graph.mul(graph.mul(before, data), after)


def chosen_numbers(case: Known, where: np.ndarray) -> Known:
    """The numbers of a constant where it is chosen, which must be finite, and 0 elsewhere."""
    array = np.where(where, broadcast(case.array, where.shape[1:]), 0.0)
    require_finite([Known(array)])
    return Known(array)


def masked_terms(ref: Ref) -> list[tuple[np.ndarray, Ref, Ref, Ref]]:
    """The terms c U B V of an element-wise product with a constant, U and V constants, else none.

    Their sum over all entries is that of c (1^T U) B (V 1), whose factors are thin, and the trace
    of a product takes no product: in the order of the step nothing else is added up before.
    """
    terms = []
    for coefficient, part in ref.node.parts if ref.node.kind == "add" else ():
        if part.node.kind != "mul" or part.flipped or ref.flipped or coefficient is None:
            return []
        (_, scaled), (_, after) = part.node.parts
        if after.node.kind != "const" or scaled.node.kind != "mul" or scaled.flipped:
            return []
        (_, before), (_, data) = scaled.node.parts
        if before.node.kind != "const":
            return []
        terms.append((coefficient, before, data, after))
    return terms


def inner_product(graph: Graph, left: Ref, right: Ref) -> Ref:
    """tr(A^T B) = sum_i e_i^T A^T B e_i = tr(A B^T)."""
    if left.shape[1] > max(left.shape[0], WIDE):  # fewer heads, but one more layer
        left, right = left.T, right.T
    units = [graph.unit(index, left.shape[1]) for index in range(left.shape[1])]
    inner = [graph.mul(graph.mul(e.T, left.T), graph.mul(right, e)) for e in units]
    return graph.add((graph.coefficient(1.0), term) for term in inner)
