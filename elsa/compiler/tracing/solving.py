"""Rules for solving with a constant matrix: products with its inverse, made while compiling.

The inverse is computed in float64. Its digits are those of float64 less those of the condition
number, so a matrix of a condition number above 1e8 is refused: beyond it a float32 stack would
multiply by wrong numbers.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elsa.base.jax_versions import evaluated
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.constants import in_full
from elsa.compiler.tracing.graph import Graph, Ref, constant_of
from elsa.compiler.tracing.parameters import Rule, rule
from elsa.compiler.tracing.values import Known, Operand, Value, whole

MAX_CONDITION = 1e8
ROUNDING = 1e-13  # of a solution, over its condition number
ITERATION = "invert by an iteration such as Newton-Schulz, elsa.algorithms.newton_schulz_inverse"


def _triangular_solve(graph: Graph, eqn: Any, a: Operand, b: Operand) -> Sequence[Operand]:
    if not isinstance(a, Known) or not isinstance(b, Value):
        raise NotLinearError(ITERATION)
    inverses = []
    for matrix in a.array:
        given = np.asarray(matrix, np.float64), np.eye(len(matrix))
        inverses.append(np.asarray(evaluated(eqn, given, left_side=True)[0]))
    ref, inverse = whole(graph, b), np.stack(inverses)
    _check(inverse)
    if eqn.params["left_side"]:
        return [Value(_multiplied(graph, inverse, ref), b.shape)]
    return [Value(_multiplied(graph, np.swapaxes(inverse, 1, 2), ref.T).T, b.shape)]


def _linear_solve(graph: Graph, eqn: Any, *operands: Operand) -> Sequence[Operand]:
    """The inverse is what the solution is for the columns of the identity."""
    count = len(eqn.outvars)
    known = [value.array for value in operands[:-count] if isinstance(value, Known)]
    b = operands[-1]
    if count > 1 or len(known) < len(operands) - 1 or not isinstance(b, Value):
        raise NotLinearError(ITERATION)
    for axis in range(len(b.shape)):
        inverses = [
            _inverse(eqn, [k[variant] for k in known], b.shape, axis)
            for variant in range(graph.variants)
        ]
        found = [inverse for inverse in inverses if inverse is not None]
        if len(found) == len(inverses):
            ref = whole(graph, b)
            if axis == 0:
                return [Value(_multiplied(graph, np.stack(found), ref), b.shape)]
            return [Value(_multiplied(graph, np.stack(found), ref.T).T, b.shape)]
    raise NotLinearError(
        "a solution that is no product of a constant matrix and the right-hand side; " + ITERATION
    )


def _inverse(
    eqn: Any, known: Sequence[np.ndarray], shape: tuple[int, ...], axis: int
) -> np.ndarray | None:
    """What a solution multiplies by along an axis, None where it does anything else too."""

    def solution(sides: Any) -> Any:
        return evaluated(eqn, [*known, sides])[0]

    def column(entries: Any) -> Any:
        sides = jnp.zeros(shape[::-1] if axis else shape).reshape(shape[axis], -1)
        sides = sides.at[:, 0].set(entries)
        out = solution(sides.T if axis else sides.reshape(shape))
        return (out.T if axis else out).reshape(shape[axis], -1)[:, 0]

    inverse = np.asarray(jax.vmap(column, out_axes=1)(np.eye(shape[axis])))
    _check(inverse[None])
    sides = np.cos(1.0 + np.arange(np.prod(shape))).reshape(shape)  # any, as a test
    wanted = np.asarray(solution(sides))
    given = (inverse @ sides.T).T if axis else inverse @ sides
    bound = ROUNDING * np.linalg.cond(inverse) * np.abs(wanted).max(initial=0.0)
    return inverse if np.abs(given - wanted).max(initial=0.0) <= bound else None


def _check(inverse: np.ndarray) -> None:
    for matrix in inverse:
        if not np.isfinite(matrix).all():
            raise NotLinearError("the constant matrix is singular; add a multiple of the identity")
        condition = np.linalg.cond(matrix)
        if not condition <= MAX_CONDITION:
            raise NotLinearError(
                f"the constant matrix has condition number {condition:.2g}, above "
                f"{MAX_CONDITION:.0e}, so that its inverse has too few digits; scale it, or add a "
                "multiple of the identity"
            )


def _multiplied(graph: Graph, inverse: np.ndarray, ref: Ref) -> Ref:
    """The inverse times a value; two factors of a solution, L^-T (L^-1 b), become one inverse."""
    inner = _solved(ref)
    if inner is not None:
        before, ref = inner
        inverse = inverse @ before
        _check(inverse)
    const = graph.const(inverse)
    const.node.inverse = True
    return graph.mul(const, ref)


def _solved(ref: Ref) -> tuple[np.ndarray, Ref] | None:
    """M and b where the value is M b and M the inverse of a constant."""
    if ref.node.kind != "mul":
        return None
    left, right = (part for _, part in ref.node.parts)
    if ref.flipped:
        left, right = right.T, left.T
    if left.node.kind == "const" and left.node.inverse:
        return in_full(constant_of(left)), right
    return None


RULES: dict[str, Rule] = {
    "custom_linear_solve": rule(_linear_solve, reads="const_lengths jaxprs"),
    "triangular_solve": rule(
        _triangular_solve,
        reads="left_side lower transpose_a unit_diagonal",
        ignores="conjugate_a",  # of real numbers
    ),
}
