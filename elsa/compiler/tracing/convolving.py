"""Convolution with a constant: a matrix along the one axis that the data has."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from elsa.base.jax_versions import evaluated
from elsa.base.matrices import of_entries
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.constants import Constant, constant_of
from elsa.compiler.tracing.graph import Graph
from elsa.compiler.tracing.parameters import NO_NARROWER, Rule, rule
from elsa.compiler.tracing.unformed import Factor, Index, Term, Unformed, terms_of
from elsa.compiler.tracing.values import Known, Operand


def convolved(
    graph: Graph, eqn: Any, a: Operand | Unformed, b: Operand | Unformed
) -> Sequence[Sequence[Term]]:
    """The convolution of data along one axis with a constant.

    Raises:
      NotLinearError: for any other.
    """
    place = int(isinstance(a, Known))
    known, array = (a, b) if isinstance(a, Known) else (b, a)
    long = [axis for axis, side in enumerate(array.shape) if side > 1]
    sides = [side for side in eqn.outvars[0].aval.shape if side > 1]
    if not isinstance(known, Known) or isinstance(array, Known) or len(long) > 1 or len(sides) > 1:
        raise NotLinearError(
            "a convolution of data with data, or along more than one axis; convolve a 1-D block "
            "with a constant, or multiply by the constant matrix that convolves"
        )
    matrix = graph.const(_matrix(eqn, known.array.astype(np.float64), array.shape, place))
    shape = eqn.outvars[0].aval.shape
    return [[_along(graph, term, matrix, shape) for term in terms_of(graph, array) or ()]]


def _matrix(eqn: Any, numbers: np.ndarray, shape: tuple[int, ...], place: int) -> Constant:
    """What the data [of that shape] is multiplied by, for the constant [variants, ...].

    With one entry of the constant at 1 every result is one of the data, or none: which one, the
    numbers 1, 2, ... as data tell.
    """
    size, own = int(np.prod(shape)), numbers.shape[1:]
    data = np.arange(1.0, size + 1).reshape(shape)

    def result(entry: Any) -> Any:
        given = (data, entry.reshape(own)) if place == 0 else (entry.reshape(own), data)
        return evaluated(eqn, given)[0].reshape(-1)

    entries = np.eye(int(np.prod(own)))
    sources = np.rint(np.asarray(jax.vmap(result)(entries))).astype(int) - 1
    which, rows = np.nonzero(sources >= 0)
    columns = sources[which, rows]
    sides = sources.shape[1], size
    each = [of_entries(line.reshape(-1)[which], rows, columns, sides) for line in numbers]
    return constant_of(each, len(each))


def _along(graph: Graph, term: Term, matrix: Any, shape: Sequence[int]) -> Term:
    """The matrix times what runs along the term's one axis, along the one of `shape`."""
    old = next((index for axis in term.axes for index in axis), None)
    new = Index(matrix.shape[0]) if matrix.shape[0] > 1 else None
    axes = tuple((new,) if side > 1 and new is not None else () for side in shape)
    factors = (*term.factors, Factor(matrix, new, old))
    summed = term.summed if old is None else (*term.summed, old)
    return Term(term.coefficient, factors, axes, summed)


def _whole(graph: Graph, eqn: Any, *operands: Operand) -> Sequence[Operand]:
    raise NotLinearError("a convolution has three axes or more")  # and is not formed


RULES: dict[str, Rule] = {
    "conv_general_dilated": rule(
        _whole,
        reads="batch_group_count dimension_numbers feature_group_count lhs_dilation padding "
        "preferred_element_type rhs_dilation window_strides",
        ignores="out_sharding",
        precision=NO_NARROWER,
    ),
}
