"""Rules for arithmetic: sums, scalings, products, element-wise products with constants."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elsa.base.checks import matrix_shape
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.elementwise import (
    chosen_numbers,
    elementwise,
    inner_product,
    masked_terms,
)
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.parameters import (
    FLOAT64,
    NO_NARROWER,
    Rule,
    at_least,
    rule,
)
from elsa.compiler.tracing.rearranging import reshaped
from elsa.compiler.tracing.values import (
    Known,
    Operand,
    Value,
    as_ref,
    broadcast,
    require_two_axes,
    sized,
    whole,
)

LONGEST_CUMSUM = 4096  # its triangle takes 134 MB, and no structure makes it smaller
TINY = 1e-307  # its inverse is the largest float64, or nearly
INVERSE = (
    "divide by constants only, or invert by an iteration such as Newton-Schulz; of a number s by "
    "Newton's r' = r (2 - s r), and a normalised iteration without its normalisation"
)


def _same(graph: Graph, eqn: Any, *values: Operand) -> Sequence[Operand]:
    return values


def _neg(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    return [_scaled(graph, value, -1.0)]


def _sum_of(sign: float) -> Callable[..., Sequence[Operand]]:
    def summed(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
        shape = tuple(eqn.outvars[0].aval.shape)
        refs = [sized(graph, value, shape) for value in (a, b)]
        coefficients = graph.coefficient(1.0), graph.coefficient(sign)
        return [Value(graph.add(zip(coefficients, refs, strict=True)), shape)]

    return summed


def _mul(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    if isinstance(a, Known) or isinstance(b, Known):
        known, value = (a, b) if isinstance(a, Known) else (b, a)
        assert isinstance(known, Known) and isinstance(value, Value)
        return [elementwise(graph, value, known, shape)]
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
        f"{matrix_shape(b.shape)}; only one of them may be data, or one of them 1 x 1, "
        "or a sum over it must follow"
    )


def _div(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    if isinstance(b, Value):
        raise NotLinearError(f"division by data; {INVERSE}")
    assert isinstance(a, Value)
    divisor = np.asarray(b.array, np.float64)
    if not np.all(divisor != 0):
        raise NotLinearError("division by a constant that holds a zero")
    if np.abs(divisor).min(initial=1.0) < TINY:
        raise NotLinearError(f"division by a constant below {TINY:.0e}, whose inverse overflows")
    shape = tuple(eqn.outvars[0].aval.shape)
    return [elementwise(graph, a, Known(1.0 / divisor), shape)]


def _dot_general(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    (left_axes, right_axes), batch = eqn.params["dimension_numbers"]
    require_two_axes(a.shape)
    require_two_axes(b.shape)
    if len(batch[0]):
        raise NotLinearError(
            "a batched product; compile the step of one task and vmap the stack, or write "
            "jnp.diag(A @ B.T) for the products of the rows of two blocks"
        )
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    left, right = as_ref(graph, a), as_ref(graph, b)
    if len(left_axes) == 2:
        right = right if tuple(left_axes) == tuple(right_axes) else right.T
        return [Value(inner_product(graph, left, right), shape)]
    if not left_axes:  # an outer product: only columns or numbers have one of two axes
        if left.shape == (1, 1) or right.shape == (1, 1):
            scalar, other = (left, right) if left.shape == (1, 1) else (right, left)
            return [reshaped(graph, Value(graph.scale(scalar, other), other.shape), shape)]
        if len(a.shape) == 2 or len(b.shape) == 2:
            left, right = _column(a, left), _column(b, right)
        return [reshaped(graph, Value(graph.mul(left, right.T), shape), shape)]
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


def _reduce_sum(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    shape = tuple(eqn.outvars[0].aval.shape)
    ref = whole(graph, value)
    axes = set(eqn.params["axes"])
    if axes == {0, 1} and (terms := masked_terms(ref)):
        ones = [graph.const(np.ones((size, 1))) for size in ref.shape]
        sums = [
            (c, graph.mul(graph.mul(graph.mul(ones[0].T, before), data), graph.mul(after, ones[1])))
            for c, before, data, after in terms
        ]
        return [reshaped(graph, Value(graph.add(sums), (1, 1)), shape)]
    if 0 in axes:
        ref = graph.mul(graph.const(np.ones((1, ref.shape[0]))), ref)
    if 1 in axes:
        ref = graph.mul(ref, graph.const(np.ones((ref.shape[1], 1))))
    return [reshaped(graph, Value(ref, ref.shape), shape)]


def _select_n(graph: Graph, eqn: Any, which: Operand, *cases: Operand) -> Sequence[Operand]:
    if isinstance(which, Value):
        raise NotLinearError("a choice that depends on data")
    shape = tuple(eqn.outvars[0].aval.shape)
    require_two_axes(shape)
    terms = []
    chosen_case = np.clip(np.asarray(which.array, dtype=np.int64), 0, len(cases) - 1)  # as XLA does
    for index, case in enumerate(cases):
        mask = chosen_case == index
        full = broadcast(mask, shape)
        if isinstance(case, Known):
            chosen: Operand = chosen_numbers(case, full)
        else:
            chosen = elementwise(graph, case, Known(full.astype(np.float64)), shape)
        terms.append(sized(graph, chosen, shape))
    return [Value(graph.add((graph.coefficient(1.0), term) for term in terms), shape)]


def _cumsum(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    axis, ref = eqn.params["axis"], whole(graph, value)
    size = ref.shape[axis]
    if size > LONGEST_CUMSUM:
        raise NotLinearError(
            f"a running sum of {size} entries, which is a product with a triangle of ones of "
            f"{8 * size**2 / 1e9:.3g} GB; it is one for at most {LONGEST_CUMSUM} entries"
        )
    triangle = np.tri(size)
    triangle = triangle.T if eqn.params["reverse"] else triangle
    const = graph.const(triangle)
    return [Value(graph.mul(const, ref) if axis == 0 else graph.mul(ref, const.T), value.shape)]


def _scaled(graph: Graph, value: Value, factor: float) -> Value:
    return Value(graph.scaled(graph.coefficient(factor), value.ref), value.shape)


RULES: dict[str, Rule] = {
    "add": rule(_sum_of(1.0)),
    "add_any": rule(_sum_of(1.0)),
    "convert_element_type": rule(_same, ignores="weak_type sharding", new_dtype=FLOAT64),
    "copy": rule(_same),
    "cumsum": rule(_cumsum, reads="axis reverse"),
    "div": rule(_div),
    "dot_general": rule(
        _dot_general,
        reads="dimension_numbers",
        ignores="out_sharding",
        precision=NO_NARROWER,
        preferred_element_type=FLOAT64,
    ),
    "mul": rule(_mul, out_dtype=FLOAT64),
    "name": rule(_same, ignores="name"),  # of a checkpoint
    "neg": rule(_neg),
    "reduce_precision": rule(_same, exponent_bits=at_least(11), mantissa_bits=at_least(52)),
    "reduce_sum": rule(_reduce_sum, reads="axes", ignores="out_sharding"),
    "select_n": rule(_select_n),
    "sharding_constraint": rule(_same, ignores="context_mesh layout sharding unconstrained_dims"),
    "stop_gradient": rule(_same),
    "sub": rule(_sum_of(-1.0)),
}
