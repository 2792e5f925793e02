"""One rule for each JAX primitive that is linear algebra: equation and operands to values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elsa.compiler.graph import Graph, Ref
from elsa.compiler.values import Known, Value, as_ref, matrix_shape, whole

Operand = Value | Known
Rule = Callable[..., Sequence[Operand]]


class NotLinearError(Exception):
    """Why an equation is not linear algebra, in words for the user."""


_ADVICE = {
    "exp": "linear attention has no exponential; use a polynomial",
    "div": "divide by constants only, or invert by an iteration such as Newton-Schulz",
    "while": "give the loop a static length",
    "cond": "write both cases with coefficients",
    "sort": "linear attention cannot compare",
}


def refusal(primitive: str, place: str, reason: str = "") -> str:
    """The message of a CompileError: the primitive, the user's line, and what to write instead."""
    why = reason or _ADVICE.get(
        primitive,
        "only matrix products, transposes, sums, scalings, slices and element-wise products with "
        "constants are linear algebra",
    )
    return f"compile: `{primitive}` cannot run on linear attention ({place}): {why}"


def _data(value: Operand) -> bool:
    return isinstance(value, Value)


def _two_axes(shape: tuple[int, ...]) -> None:
    if len(shape) > 2:
        raise NotLinearError(f"blocks are matrices, got an array of shape {shape}")


def _scaled(graph: Graph, value: Value, factor: float) -> Value:
    return Value(graph.scaled(graph.coefficient(factor), value.ref), value.shape)


def _same(graph: Graph, eqn: Any, value: Operand, *_: Operand) -> Sequence[Operand]:
    return [value]


def _neg(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    return [_scaled(graph, value, -1.0)]


def _sum_of(sign: float) -> Rule:
    def rule(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
        shape = tuple(eqn.outvars[0].aval.shape)
        refs = [_sized(graph, value, shape) for value in (a, b)]
        coefficients = graph.coefficient(1.0), graph.coefficient(sign)
        return [Value(graph.add(zip(coefficients, refs, strict=True)), shape)]

    return rule


def _sized(graph: Graph, value: Operand, shape: tuple[int, ...]) -> Ref:
    """The operand as a full matrix for an array of `shape`, broadcast along sides of length 1."""
    _two_axes(shape)
    if isinstance(value, Known):
        full = np.broadcast_to(value.array, (len(value.array), *shape))
        return as_ref(graph, Known(full))
    return whole(graph, Value(value.ref, shape))


def _mul(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    _two_axes(shape)
    if isinstance(a, Known) or isinstance(b, Known):
        known, value = (a, b) if isinstance(a, Known) else (b, a)
        assert isinstance(known, Known) and isinstance(value, Value)
        return [_elementwise(graph, value, known, shape)]
    left, right = a.ref, b.ref
    if left.shape == (1, 1) or right.shape == (1, 1):
        scalar, other = (left, right) if left.shape == (1, 1) else (right, left)
        return [Value(graph.scale(scalar, other), shape)]
    if left.shape[1] == 1 and right.shape[0] == 1:
        return [Value(graph.mul(left, right), shape)]
    if left.shape[0] == 1 and right.shape[1] == 1:
        return [Value(graph.mul(right, left), shape)]
    raise NotLinearError(
        f"an element-wise product of two data blocks of shapes {matrix_shape(a.shape)} and "
        f"{matrix_shape(b.shape)}; only one of them may be data, or one of them 1 x 1"
    )


def _elementwise(graph: Graph, value: Value, known: Known, shape: tuple[int, ...]) -> Value:
    """C o B = sum over distinct rows c of C of diag(where C has that row) B diag(c); or columns."""
    array = np.asarray(known.array, dtype=np.float64)
    if array.size and all((own == own.flat[0]).all() for own in array):
        return Value(graph.scaled(array.reshape(len(array), -1)[:, 0], value.ref), shape)
    full = np.broadcast_to(array, (len(array), *shape)).reshape(len(array), *matrix_shape(shape))
    if value.ref.shape == (1, 1):
        return Value(graph.scale(value.ref, graph.const(full)), shape)
    data = whole(graph, Value(value.ref, shape))
    by_rows, by_columns = _groups(full), _groups(np.swapaxes(full, 1, 2))
    terms = []
    if len(by_rows) <= len(by_columns):
        for where, line in by_rows:
            terms.append(_between(graph, where, data, line))
    else:
        for where, line in by_columns:
            terms.append(_between(graph, line, data, where))
    if not terms:
        return Value(graph.const(np.zeros(data.shape)), shape)
    return Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)


def _groups(full: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distinct non-zero rows of [variants, rows, columns]: (1 where it stands, the row)."""
    found: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for index in range(full.shape[1]):
        line = np.ascontiguousarray(full[:, index])
        if not line.any():
            continue
        where, _ = found.setdefault(line.tobytes(), (np.zeros(full.shape[:2]), line))
        where[:, index] = 1.0
    return list(found.values())


def _between(graph: Graph, left: np.ndarray, data: Ref, right: np.ndarray) -> Ref:
    """diag(left) B diag(right), left and right [variants, size]."""
    scaled = graph.mul(graph.const(_diagonal(left)), data)
    return graph.mul(scaled, graph.const(_diagonal(right)))


def _diagonal(lines: np.ndarray) -> np.ndarray:
    return lines[:, :, None] * np.eye(lines.shape[1])


def _div(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    if isinstance(b, Value):
        raise NotLinearError("division by data; " + _ADVICE["div"])
    assert isinstance(a, Value)
    if not np.all(b.array != 0):
        raise NotLinearError("division by a constant that holds a zero")
    shape = tuple(eqn.outvars[0].aval.shape)
    return [_elementwise(graph, a, Known(1.0 / np.asarray(b.array, np.float64)), shape)]


def _power(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    exponent = eqn.params.get("y", 2)
    if exponent == 1:
        return [value]
    if value.ref.shape != (1, 1) or exponent < 0:
        raise NotLinearError(
            "an element-wise power of a data block; only 1 x 1 blocks have whole powers, and only "
            "non-negative ones"
        )
    out = graph.const(np.ones((1, 1)))
    for _ in range(exponent):
        out = graph.mul(out, value.ref)
    return [Value(out, value.shape)]


def _dot_general(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    (left_axes, right_axes), batch = eqn.params["dimension_numbers"]
    _two_axes(a.shape)
    _two_axes(b.shape)
    if any(batch[0]) or any(batch[1]) or len(batch[0]):
        raise NotLinearError("a batched product; compile the step of one task and vmap the stack")
    shape = tuple(eqn.outvars[0].aval.shape)
    _two_axes(shape)
    left, right = as_ref(graph, a), as_ref(graph, b)
    if len(left_axes) == 2:  # tr(A^T B) = sum_i e_i^T A^T B e_i
        right = right if tuple(left_axes) == tuple(right_axes) else right.T
        units = [graph.const(e[:, None]) for e in np.eye(left.shape[1])]
        inner = [graph.mul(graph.mul(e.T, left.T), graph.mul(right, e)) for e in units]
        return [Value(graph.add((graph.coefficient(1.0), term) for term in inner), shape)]
    if not left_axes:  # an outer product: only columns or numbers have one of two axes
        if len(a.shape) == 2 or len(b.shape) == 2:
            left, right = _column(a, left), _column(b, right)
        return [_reshaped(graph, Value(graph.mul(left, right.T), shape), shape)]
    (contract_left,), (contract_right,) = left_axes, right_axes
    left = left.T if contract_left == 0 else left
    right = right if contract_right == 0 else right.T
    out = graph.mul(left, right)
    if len(a.shape) == 1 and len(b.shape) == 2:  # a row, and a 1-D array is a column
        out = out.T
    return [Value(out, shape)]


def _column(operand: Operand, ref: Ref) -> Ref:
    if len(operand.shape) == 2:
        raise NotLinearError("an outer product of matrices has more than two axes")
    return ref


def _transpose(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    turned = tuple(eqn.params["permutation"]) == (1, 0)
    return [Value(value.ref.T if turned else value.ref, shape)]


def _broadcast(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape, axes = tuple(eqn.params["shape"]), tuple(eqn.params["broadcast_dimensions"])
    _two_axes(shape)
    if len(value.shape) == 1 and len(shape) == 2 and axes == (1,):
        return [Value(value.ref.T, shape)]
    return [Value(value.ref, shape)]


def _reshape(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    return [_reshaped(graph, value, tuple(eqn.outvars[0].aval.shape))]


def _reshaped(graph: Graph, value: Value, shape: tuple[int, ...]) -> Value:
    """Adds and drops axes of length 1; anything else would break blocks up."""
    _two_axes(shape)
    ref, size = whole(graph, value), int(np.prod(shape))
    target = matrix_shape(shape)
    if ref.shape == target:
        return Value(ref, shape)
    if ref.shape == target[::-1] and 1 in target:
        return Value(ref.T, shape)
    raise NotLinearError(
        f"a reshape of {value.shape} to {shape} ({size} entries) that breaks the matrix up; "
        "only axes of length 1 can be added or dropped"
    )


def _reduce_sum(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    ref = whole(graph, value)
    axes = set(eqn.params["axes"])
    if 0 in axes:
        ref = graph.mul(graph.const(np.ones((1, ref.shape[0]))), ref)
    if 1 in axes:
        ref = graph.mul(ref, graph.const(np.ones((ref.shape[1], 1))))
    return [_reshaped(graph, Value(ref, ref.shape), shape)]


def _select(ref: Ref, graph: Graph, rows: np.ndarray, columns: np.ndarray) -> Ref:
    """Rows and columns of a matrix by index, as E^T A F."""
    out = ref
    if list(rows) != list(range(ref.shape[0])):
        out = graph.mul(graph.const(np.eye(ref.shape[0])[rows]), out)
    if list(columns) != list(range(ref.shape[1])):
        out = graph.mul(out, graph.const(np.eye(ref.shape[1])[:, columns]))
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


def _rev(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    flipped = eqn.params["dimensions"]
    indices = [
        np.arange(size)[:: -1 if axis in flipped else 1] for axis, size in enumerate(value.shape)
    ]
    return [_sliced(graph, value, value.shape, indices)]


def _concatenate(graph: Graph, eqn: Any, *values: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    _two_axes(shape)
    axis, start, terms = eqn.params["dimension"], 0, []
    total = np.eye(shape[axis])
    for value in values:
        place = total[:, start : start + value.shape[axis]]
        start += value.shape[axis]
        ref = as_ref(graph, value)
        put = graph.const(place if axis == 0 else place.T)
        terms.append(graph.mul(put, ref) if axis == 0 else graph.mul(ref, put))
    return [Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)]


def _stack(graph: Graph, eqn: Any, *values: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    _two_axes(shape)
    if len(shape) == 1 or eqn.params["axis"] == 0:
        return [stack_rows(graph, values)]
    turned = stack_rows(graph, values)
    return [
        Value(
            whole(graph, turned).T if isinstance(turned, Value) else as_ref(graph, turned).T, shape
        )
    ]


def _pad(graph: Graph, eqn: Any, value: Operand, filler: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    if not isinstance(value, Value) or not isinstance(filler, Known) or filler.array.any():
        raise NotLinearError("padding with anything but zeros")
    ref = whole(graph, value)
    for axis, (low, high, inner) in enumerate(eqn.params["padding_config"]):
        if min(low, high, inner) < 0:
            raise NotLinearError("padding by negative amounts")
        put = np.eye(shape[axis])[:, low : shape[axis] - high : inner + 1]
        const = graph.const(put if axis == 0 else put.T)
        ref = graph.mul(const, ref) if axis == 0 else graph.mul(ref, const)
    return [Value(ref, shape)]


def _select_n(graph: Graph, eqn: Any, which: Operand, *cases: Operand) -> Sequence[Operand]:
    if isinstance(which, Value):
        raise NotLinearError("a choice that depends on data")
    shape = tuple(eqn.outvars[0].aval.shape)
    _two_axes(shape)
    terms = []
    for index, case in enumerate(cases):
        mask = np.asarray(which.array, dtype=np.int64) == index
        full = np.broadcast_to(mask.reshape(len(mask), *which.shape), (len(mask), *shape))
        if isinstance(case, Known):
            chosen: Operand = Known(np.where(full, case.array, 0.0))
        else:
            chosen = _elementwise(graph, case, Known(full.astype(np.float64)), shape)
        terms.append(_sized(graph, chosen, shape))
    return [Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)]


def _cumsum(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    axis, ref = eqn.params["axis"], whole(graph, value)
    triangle = np.tri(ref.shape[axis])
    triangle = triangle.T if eqn.params["reverse"] else triangle
    const = graph.const(triangle)
    return [Value(graph.mul(const, ref) if axis == 0 else graph.mul(ref, const.T), value.shape)]


def row(graph: Graph, value: Operand, index: int) -> Operand:
    """value[index], along the first axis."""
    if isinstance(value, Known):
        return Known(value.array[:, index])
    shape = value.shape[1:]
    _two_axes(value.shape)
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
    _two_axes(shape)
    places = [graph.const(e[:, None]) for e in np.eye(len(values))]
    rows = [as_ref(graph, value).T for value in values]
    terms = [graph.mul(place, ref) for place, ref in zip(places, rows, strict=True)]
    return Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)


RULES: dict[str, Rule] = {
    "add": _sum_of(1.0),
    "add_any": _sum_of(1.0),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "convert_element_type": _same,
    "copy": _same,
    "copy_p": _same,
    "cumsum": _cumsum,
    "div": _div,
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "expand_dims": _reshape,
    "integer_pow": _power,
    "mul": _mul,
    "neg": _neg,
    "pad": _pad,
    "reduce_precision": _same,
    "reduce_sum": _reduce_sum,
    "reshape": _reshape,
    "rev": _rev,
    "select_n": _select_n,
    "slice": _slice,
    "square": _power,
    "squeeze": _reshape,
    "stack": _stack,
    "stop_gradient": _same,
    "sub": _sum_of(-1.0),
    "transpose": _transpose,
}
