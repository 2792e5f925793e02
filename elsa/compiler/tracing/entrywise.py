"""Rules for arrays that are not formed: what keeps them sums of products, until sums form them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elsa.compiler.tracing import placing
from elsa.compiler.tracing.contracting import contracted, formed
from elsa.compiler.tracing.convolving import convolved
from elsa.compiler.tracing.elementwise import chosen_numbers
from elsa.compiler.tracing.graph import Graph
from elsa.compiler.tracing.unformed import (
    Term,
    Unformed,
    matched,
    regrouped,
    spread,
    terms_of,
)
from elsa.compiler.tracing.values import Known, Operand, Value, broadcast

Array = Operand | Unformed
Terms = Sequence[Term]
MAX_TERMS = 64  # of an array that is not formed


def kept(
    graph: Graph, eqn: Any, operands: Sequence[Array], message: str
) -> Sequence[Value | Unformed] | None:
    """The results of an equation as products that are not formed yet; None where they are none.

    Args:
      message: the error where a result would have to be formed.
    """
    shapes = [tuple(var.aval.shape) for var in eqn.outvars]
    rule = _RULES.get(eqn.primitive.name)
    if rule is None or any(0 in shape for shape in (*shapes, *(a.shape for a in operands))):
        return None
    results = rule(graph, eqn, *operands)
    if results is None:
        return None
    kept = []
    for shape, terms in zip(shapes, results, strict=True):
        if len(terms) > MAX_TERMS:
            return None
        array = Unformed(shape, tuple(contracted(graph, term) for term in terms), message)
        kept.append(formed(graph, array) or array)
    return kept


def taken(graph: Graph, array: Unformed, index: int) -> Value | Unformed | None:
    """array[index], along the first axis."""
    terms = [placing.picked(graph, term, 0, np.array([index])) for term in array.terms]
    if any(term is None for term in terms):
        return None
    row = [dataclasses.replace(term, axes=term.axes[1:]) for term in terms if term is not None]
    found = Unformed(array.shape[1:], tuple(contracted(graph, term) for term in row), array.message)
    return formed(graph, found) or found


_Rule = Callable[..., Sequence[Terms] | None]


def _each(change: Callable[[Graph, Any, Term], Term | None]) -> _Rule:
    """A rule that changes every term of one array."""

    def rule(graph: Graph, eqn: Any, array: Array) -> Sequence[Terms] | None:
        terms = terms_of(graph, array)
        new = [change(graph, eqn, term) for term in terms or ()]
        return [[term for term in new if term is not None]] if new and None not in new else None

    return rule


def _same(graph: Graph, eqn: Any, term: Term) -> Term:
    return term


def _negative(graph: Graph, eqn: Any, term: Term) -> Term:
    return dataclasses.replace(term, coefficient=-term.coefficient)


def _added(sign: float) -> _Rule:
    def rule(graph: Graph, eqn: Any, a: Array, b: Array) -> Sequence[Terms] | None:
        shape = tuple(eqn.outvars[0].aval.shape)
        one, two = terms_of(graph, a, b), terms_of(graph, b, a)
        if one is None or two is None:
            return None
        other = [dataclasses.replace(term, coefficient=sign * term.coefficient) for term in two]
        return [[spread(term, shape) for term in (*one, *other)]]

    return rule


def _product(graph: Graph, eqn: Any, a: Array, b: Array) -> Sequence[Terms] | None:
    one, two = terms_of(graph, a, b), terms_of(graph, b, a)
    if len(a.shape) < len(b.shape):
        one, two = two, one
    axes = range(min(len(a.shape), len(b.shape)))  # a number has none of them
    return _multiplied(one, two, [(place, place) for place in axes])


def _divided(graph: Graph, eqn: Any, a: Array, b: Array) -> Sequence[Terms] | None:
    if not isinstance(b, Known) or not np.all(np.asarray(b.array) != 0):
        return None
    return _product(graph, eqn, a, Known(1.0 / np.asarray(b.array, np.float64)))


def _square(graph: Graph, eqn: Any, array: Array, *exponent: Array) -> Sequence[Terms] | None:
    given = eqn.params.get("y", 2)
    if exponent:
        (number,) = exponent
        given = number.array if isinstance(number, Known) else 0
    if not np.all(np.asarray(given) == 2):
        return None
    return _product(graph, eqn, array, array)


def _dot_general(graph: Graph, eqn: Any, a: Array, b: Array) -> Sequence[Terms] | None:
    (left, right), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    one, two = (terms_of(graph, array) for array in (a, b))
    pairs = [*zip(left_batch, right_batch, strict=True), *zip(left, right, strict=True)]
    rest = [
        [axis for axis in range(len(array.shape)) if axis not in (*batch, *summed)]
        for array, batch, summed in ((a, left_batch, left), (b, right_batch, right))
    ]
    places = ([*left_batch, *rest[0]], rest[1], left)
    return _multiplied(one, two, pairs, places)


def _multiplied(
    one: Terms | None,
    two: Terms | None,
    pairs: Sequence[tuple[int, int]],
    places: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None,
) -> Sequence[Terms] | None:
    """Products of all terms, with the same indices along pairs of axes.

    places: axes of the first that stay, axes of the second that stay, axes of the first that are
      summed over; all of the first that are in pairs, and none, where None.
    """
    if one is None or two is None or len(one) * len(two) > MAX_TERMS:
        return None
    products = []
    for first in one:
        for second in two:
            pair = matched(first, second, pairs)
            if pair is None:
                return None
            a, b = pair
            mine, theirs, summed = places or (range(len(a.axes)), (), ())
            axes = (*(a.axes[place] for place in mine), *(b.axes[place] for place in theirs))
            over = [index for place in summed for index in a.axes[place]]
            products.append(
                Term(
                    a.coefficient * b.coefficient,
                    (*a.factors, *b.factors),
                    axes,
                    (*a.summed, *b.summed, *over),
                )
            )
    return [products]


def _summed(graph: Graph, eqn: Any, term: Term) -> Term:
    axes = set(eqn.params["axes"])
    left = tuple(axis for place, axis in enumerate(term.axes) if place not in axes)
    over = [index for place in sorted(axes) for index in term.axes[place]]
    return dataclasses.replace(term, axes=left, summed=(*term.summed, *over))


def _transposed(graph: Graph, eqn: Any, term: Term) -> Term:
    order = eqn.params["permutation"]
    return dataclasses.replace(term, axes=tuple(term.axes[place] for place in order))


def _broadcast(graph: Graph, eqn: Any, term: Term) -> Term:
    shape = eqn.params["shape"]
    own = dict(zip(eqn.params["broadcast_dimensions"], term.axes, strict=True))
    axes = tuple(own.get(place, ()) for place in range(len(shape)))
    return spread(dataclasses.replace(term, axes=axes), shape)


def _reshaped(graph: Graph, eqn: Any, term: Term) -> Term | None:
    order = eqn.params.get("dimensions")
    if order is not None:
        term = dataclasses.replace(term, axes=tuple(term.axes[place] for place in order))
    return regrouped(term, tuple(eqn.outvars[0].aval.shape))


def _squeezed(graph: Graph, eqn: Any, term: Term) -> Term | None:
    return regrouped(term, tuple(eqn.outvars[0].aval.shape))


def _chosen(graph: Graph, eqn: Any, which: Array, *cases: Array) -> Sequence[Terms] | None:
    """Each case times ones where it is chosen."""
    if not isinstance(which, Known):
        return None
    number = np.clip(np.asarray(which.array, dtype=np.int64), 0, len(cases) - 1)  # as XLA does
    chosen: list[Term] = []
    for index, case in enumerate(cases):
        here = broadcast(number == index, tuple(eqn.outvars[0].aval.shape))
        if isinstance(case, Known):
            terms = terms_of(graph, chosen_numbers(case, here))
        else:
            products = _product(graph, eqn, case, Known(here.astype(np.float64)))
            terms = None if products is None else tuple(products[0])
        if terms is None:
            return None
        chosen += terms
    return [chosen]


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(
        ("convert_element_type", "copy", "name", "reduce_precision", "stop_gradient"), _each(_same)
    ),
    **dict.fromkeys(("integer_pow", "pow", "square"), _square),
    **dict.fromkeys(("add", "add_any"), _added(1.0)),
    "broadcast_in_dim": _each(_broadcast),
    "concatenate": placing.joined,
    "conv_general_dilated": convolved,
    "div": _divided,
    "dot_general": _dot_general,
    "mul": _product,
    "neg": _each(_negative),
    "pad": placing.padded,
    "reduce_sum": _each(_summed),
    "reshape": _each(_reshaped),
    "select_n": _chosen,
    "sharding_constraint": _each(_same),
    "slice": placing.sliced,
    "split": placing.split,
    "squeeze": _each(_squeezed),
    "sub": _added(-1.0),
    "transpose": _each(_transposed),
}
