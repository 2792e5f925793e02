"""Rules for rearranging: transposes, shapes, slices, concatenation, padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elsa.base.checks import matrix_shape
from elsa.base.jax_versions import evaluated
from elsa.base.matrices import of_entries, selection
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.parameters import Rule, rule
from elsa.compiler.tracing.values import (
    Known,
    Operand,
    Value,
    as_ref,
    require_two_axes,
    whole,
)


def _transpose(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    turned = tuple(eqn.params["permutation"]) == (1, 0)
    return [Value(value.ref.T if turned else value.ref, shape)]


def _broadcast(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape, axes = tuple(eqn.params["shape"]), tuple(eqn.params["broadcast_dimensions"])
    require_two_axes(shape)
    if len(value.shape) == 1 and len(shape) == 2 and axes == (1,):
        return [Value(value.ref.T, shape)]
    return [Value(value.ref, shape)]


def _reshape(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    order = eqn.params.get("dimensions")  # axes from the slowest to the fastest; None as they are
    if order is not None and tuple(order) == (1, 0):
        value = Value(value.ref.T, value.shape[::-1])
    return [reshaped(graph, value, tuple(eqn.outvars[0].aval.shape))]


def _squeeze(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    return [reshaped(graph, value, tuple(eqn.outvars[0].aval.shape))]


def reshaped(graph: Graph, value: Value, shape: tuple[int, ...]) -> Value:
    """Adds and drops axes of length 1; anything else would break blocks up."""
    require_two_axes(shape)
    ref, size = whole(graph, value), int(np.prod(shape))
    target = matrix_shape(shape)
    if ref.shape == target:
        return Value(ref, shape)
    if ref.shape == target[::-1] and 1 in target:
        return Value(ref.T, shape)
    raise NotLinearError(
        f"a reshape of {value.shape} to {shape} ({size} entries) that breaks the matrix up; "
        "only axes of length 1 can be added or dropped; keep the matrix, or reshape back to it"
    )


def _select(ref: Ref, graph: Graph, rows: np.ndarray, columns: np.ndarray) -> Ref:
    """Rows and columns of a matrix by index, as E^T A F."""
    out = ref
    if not np.array_equal(rows, np.arange(ref.shape[0])):
        out = graph.mul(graph.const(selection(rows, ref.shape[0])), out)
    if not np.array_equal(columns, np.arange(ref.shape[1])):
        out = graph.mul(out, graph.const(selection(columns, ref.shape[1]).T))
    return out


def _sliced(
    graph: Graph, value: Value, shape: tuple[int, ...], indices: Sequence[np.ndarray]
) -> Value:
    full = [*indices, *(np.arange(1) for _ in range(2 - len(indices)))]
    return Value(_select(whole(graph, value), graph, full[0], full[1]), shape)


def _slice(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    strides = eqn.params["strides"] or (1,) * len(value.shape)
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    indices = [np.arange(a, b, s) for a, b, s in zip(starts, limits, strides, strict=True)]
    return [_sliced(graph, value, tuple(eqn.outvars[0].aval.shape), indices)]


def _dynamic_slice(graph: Graph, eqn: Any, value: Operand, *starts: Operand) -> Sequence[Operand]:
    if not isinstance(value, Value) or any(isinstance(start, Value) for start in starts):
        raise NotLinearError("a slice whose place depends on data")
    places = [start.array.reshape(-1) for start in starts if isinstance(start, Known)]
    if any(len(np.unique(place)) > 1 for place in places):
        raise NotLinearError("a slice whose place depends on t")
    sizes = eqn.params["slice_sizes"]
    first = [
        int(np.clip(place[0], 0, length - size))
        for place, size, length in zip(places, sizes, value.shape, strict=True)
    ]
    indices = [np.arange(a, a + size) for a, size in zip(first, sizes, strict=True)]
    return [_sliced(graph, value, tuple(sizes), indices)]


def _split(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    axis, start, parts = eqn.params["axis"], 0, []
    for size in map(int, eqn.params["sizes"]):
        indices = [np.arange(side) for side in value.shape]
        indices[axis] = np.arange(start, start + size)
        start += size
        parts.append(_sliced(graph, value, tuple(len(index) for index in indices), indices))
    return parts


def _tile(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    indices = [np.arange(size) % side for size, side in zip(shape, value.shape, strict=True)]
    return [_sliced(graph, value, shape, indices)]


def _gather(graph: Graph, eqn: Any, value: Operand, places: Operand) -> Sequence[Operand]:
    """Entries at places known at compile time, found by gathering the entries' numbers."""
    if not isinstance(value, Value) or not isinstance(places, Known):
        raise NotLinearError("entries whose place depends on data")
    if not (places.array == places.array[:1]).all():
        raise NotLinearError("entries whose place depends on t")
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    numbers = np.arange(np.prod(value.shape), dtype=np.float64).reshape(value.shape)
    indices = np.asarray(evaluated(eqn, [numbers, places.array[0]], fill_value=-1.0)[0], dtype=int)
    indices, ref = indices.reshape(matrix_shape(shape)), whole(graph, value)
    inside, fill = indices >= 0, eqn.params["fill_value"]
    if not inside.all() and (fill is None or not np.isfinite(fill)):
        raise NotLinearError(
            f"a place outside the block, where jax puts {np.nan if fill is None else fill}; give a "
            "finite fill_value, or clip the places"
        )
    rows, columns = np.divmod(indices, max(ref.shape[1], 1))
    picked = _entries(graph, ref, np.where(inside, rows, -1), columns)
    filled = graph.const(np.where(inside, 0.0, 0.0 if fill is None else fill))
    one = graph.coefficient(1.0)
    return [Value(graph.add([(one, picked), (one, filled)]), shape)]


def _entries(graph: Graph, ref: Ref, rows: np.ndarray, columns: np.ndarray) -> Ref:
    """The matrix of A[rows, columns], 0 where rows is -1: sum of E A e_c e_j^T over equal E."""
    sums: dict[bytes, tuple[np.ndarray, list[tuple[int, int]]]] = {}
    for place in range(rows.shape[1]):
        for column in np.unique(columns[rows[:, place] >= 0, place]):
            taken = np.where(columns[:, place] == column, rows[:, place], -1)
            sums.setdefault(taken.tobytes(), (taken, []))[1].append((column, place))
    terms = []
    for taken, moves in sums.values():
        left, (origins, places) = selection(taken, ref.shape[0]), np.transpose(moves)
        shape = ref.shape[1], rows.shape[1]
        right = of_entries(np.ones(len(moves)), origins, places, shape)
        terms.append(graph.mul(graph.mul(graph.const(left), ref), graph.const(right)))
    if not terms:
        return graph.const(np.zeros(rows.shape))
    return graph.add((graph.coefficient(1.0), term) for term in terms)


def _rev(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    flipped = eqn.params["dimensions"]
    indices = [
        np.arange(size)[:: -1 if axis in flipped else 1] for axis, size in enumerate(value.shape)
    ]
    return [_sliced(graph, value, value.shape, indices)]


def _concatenate(graph: Graph, eqn: Any, *values: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    axis, start, terms = eqn.params["dimension"], 0, []
    for value in values:
        places = np.arange(start, start + value.shape[axis])
        put = selection(places, shape[axis])
        start += value.shape[axis]
        ref = as_ref(graph, value)
        const = graph.const(put.T if axis == 0 else put)
        terms.append(graph.mul(const, ref) if axis == 0 else graph.mul(ref, const))
    return [Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)]


def _stack(graph: Graph, eqn: Any, *values: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    if len(shape) == 1 or eqn.params["axis"] == 0:
        return [stack_rows(graph, values)]
    turned = stack_rows(graph, values)
    return [
        Value(
            whole(graph, turned).T if isinstance(turned, Value) else as_ref(graph, turned).T, shape
        )
    ]


def _unstack(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    axis, ref = eqn.params["axis"], whole(graph, value)
    if axis == 0:
        return [row(graph, value, index) for index in range(value.shape[0])]
    lines, shape = np.arange(ref.shape[0]), value.shape[:1]
    return [
        Value(_select(ref, graph, lines, np.array([index])), shape) for index in range(ref.shape[1])
    ]


def _pad(graph: Graph, eqn: Any, value: Operand, filler: Operand) -> Sequence[Operand]:
    """The block between zeros, and the constant around it."""
    shape = tuple(eqn.outvars[0].aval.shape)
    if not isinstance(value, Value) or not isinstance(filler, Known):
        raise NotLinearError("padding with data")
    ref, around = whole(graph, value), np.ones(shape, dtype=bool)
    taken = []
    for axis, (low, _, inner) in enumerate(eqn.params["padding_config"]):
        places = low + (inner + 1) * np.arange(value.shape[axis])
        inside = (places >= 0) & (places < shape[axis])  # negative amounts cut off
        put = selection(np.where(inside, places, -1), shape[axis])
        const = graph.const(put.T if axis == 0 else put)
        ref = graph.mul(const, ref) if axis == 0 else graph.mul(ref, const)
        taken.append(places[inside])
    around[np.ix_(*taken)] = False
    fill = filler.array.reshape(-1, *(1,) * len(shape)) * around
    one = graph.coefficient(1.0)
    return [Value(graph.add([(one, ref), (one, as_ref(graph, Known(fill)))]), shape)]


def row(graph: Graph, value: Operand, index: int) -> Operand:
    """value[index], along the first axis."""
    if isinstance(value, Known):
        return Known(value.array[:, index])
    shape = value.shape[1:]
    require_two_axes(value.shape)
    rows = _select(
        whole(graph, value), graph, np.array([index]), np.arange(whole(graph, value).shape[1])
    )
    return Value(rows.T if shape else rows, shape)


def stack_rows(graph: Graph, values: Sequence[Operand]) -> Operand:
    """Values of up to one axis as the rows of a matrix, or of a column."""
    if all(isinstance(value, Known) for value in values):
        return Known(
            np.stack([value.array for value in values if isinstance(value, Known)], axis=1)
        )
    shape = (len(values), *values[0].shape)
    require_two_axes(shape)
    places = [graph.unit(index, len(values)) for index in range(len(values))]
    rows = [as_ref(graph, value).T for value in values]
    terms = [graph.mul(place, ref) for place, ref in zip(places, rows, strict=True)]
    return Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)


RULES: dict[str, Rule] = {
    "broadcast_in_dim": rule(_broadcast, reads="shape broadcast_dimensions", ignores="sharding"),
    "concatenate": rule(_concatenate, reads="dimension"),
    "dynamic_slice": rule(_dynamic_slice, reads="slice_sizes"),
    "gather": rule(
        _gather,
        reads="dimension_numbers slice_sizes mode fill_value",
        ignores="unique_indices indices_are_sorted",
    ),
    "pad": rule(_pad, reads="padding_config"),
    "reshape": rule(_reshape, reads="new_sizes dimensions", ignores="sharding"),
    "rev": rule(_rev, reads="dimensions"),
    "slice": rule(_slice, reads="start_indices limit_indices strides"),
    "split": rule(_split, reads="sizes axis"),
    "squeeze": rule(_squeeze, reads="dimensions"),
    "stack": rule(_stack, reads="axis"),
    "tile": rule(_tile, reads="reps"),
    "transpose": rule(_transpose, reads="permutation"),
    "unstack": rule(_unstack, reads="axis"),
}
