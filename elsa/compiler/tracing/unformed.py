"""Arrays that a step writes and linear attention need not form: sums of products of entries.

r[:, None] * X has no head, and its sum over the rows is X^T r. So what the rules refuse is kept as
the products that it stands for, each a product of matrices of the graph over named indices,

    T[a, b] = coefficient * sum over c of A[a, c] B[c, b] u[a] ...

and becomes a value once sums have left no more than matrix products. Until then only what keeps it
such a sum can be done with it; anything else is the error that the rule had given.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.values import Known, Operand, Value

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """What runs over the entries of an axis, or of a part of one; of at least 2 values."""

    size: int


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
    """A matrix of the graph with the indices of its rows and its columns; None for one of them."""

    ref: Ref
    row: Index | None
    column: Index | None

    @property
    def ends(self) -> tuple[Index, ...]:
        return tuple(end for end in (self.row, self.column) if end is not None)

    @property
    def known(self) -> bool:
        return self.ref.node.kind == "const"

    def along(self, index: Index) -> Ref:
        """The matrix whose rows run along the index."""
        return self.ref if self.row is index else self.ref.T

    def other(self, index: Index) -> Index | None:
        return self.column if self.row is index else self.row


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """A product of entries.

    coefficient: [variants].
    axes: for each axis of the array the indices that run along it, the slowest first.
    summed: the indices that are summed over.
    """

    coefficient: np.ndarray
    factors: tuple[Factor, ...]
    axes: tuple[tuple[Index, ...], ...]
    summed: tuple[Index, ...] = ()

    def touching(self, index: Index) -> list[Factor]:
        return [factor for factor in self.factors if index in factor.ends]


@dataclasses.dataclass(frozen=True, eq=False)
class Unformed:
    """An array of `shape`, a sum of terms; `message` is the error where it would have to be formed.

    place: the user's line that made it.
    """

    shape: Shape
    terms: tuple[Term, ...]
    message: str


def terms_of(
    graph: Graph, operand: Operand | Unformed, like: Operand | Unformed | None = None
) -> tuple[Term, ...] | None:
    """Any operand as a sum of terms; None for constants that vary along more than two axes.

    like: what a constant is multiplied with, or added to, and so cut as it is.
    """
    if isinstance(operand, Known) and isinstance(like, Unformed):
        cut = like.terms[0].axes if like.terms else ()
        if len(cut) == len(operand.shape) and any(len(axis) > 1 for axis in cut):
            return _of_cut(graph, operand, cut)
    if isinstance(operand, Unformed):
        return operand.terms
    if isinstance(operand, Value):
        axes = [(Index(side),) if side > 1 else () for side in operand.shape]
        ends = [
            axis[0] if axis and operand.ref.shape[place] > 1 else None
            for place, axis in enumerate(axes)
        ]
        row, column = (*ends, None, None)[:2]
        return (Term(graph.coefficient(1.0), (Factor(operand.ref, row, column),), tuple(axes)),)
    return _of_known(graph, operand)


def _of_known(graph: Graph, known: Known) -> tuple[Term, ...] | None:
    array = np.asarray(known.array, np.float64)
    array = np.broadcast_to(array, (graph.variants, *array.shape[1:]))
    axes: list[tuple[Index, ...]] = [(Index(side),) if side > 1 else () for side in known.shape]
    varying = []
    for place, side in enumerate(known.shape):
        first = np.take(array, [0], axis=place + 1)
        if side > 1 and not (array == first).all():
            varying.append(place)
        else:
            array = first
    sizes = [known.shape[place] for place in varying]
    if len(sizes) > 2:
        return None
    if not sizes:
        return (Term(array.reshape(-1), (), tuple(axes)),)
    ref = graph.const(array.reshape(graph.variants, *sizes, *(1,) * (2 - len(sizes))))
    ends = [axes[place][0] for place in varying]
    row, column = ends[0], ends[1] if len(ends) > 1 else None
    return (Term(graph.coefficient(1.0), (Factor(ref, row, column),), tuple(axes)),)


def _of_cut(graph: Graph, known: Known, axes: Sequence[Sequence[Index]]) -> tuple[Term, ...] | None:
    """A constant with axes cut as these are, where it is as long."""
    parts = [
        [index.size for index in axis] if side > 1 and len(axis) > 1 else [side]
        for side, axis in zip(known.shape, axes, strict=True)
    ]
    array = np.asarray(known.array).reshape(len(known.array), *(n for part in parts for n in part))
    terms = _of_known(graph, Known(array))
    if terms is None:
        return None
    (term,) = terms
    left, whole = iter(term.axes), []
    for part in parts:
        cut = [index for _ in part for index in next(left)]
        whole.append(tuple(cut))
    return (dataclasses.replace(term, axes=tuple(whole)),)


def renamed(term: Term, names: Mapping[Index, Index]) -> Term:
    """The term over other indices."""

    def new(index: Index | None) -> Index | None:
        return index if index is None else names.get(index, index)

    return dataclasses.replace(
        term,
        factors=tuple(Factor(f.ref, new(f.row), new(f.column)) for f in term.factors),
        axes=tuple(tuple(names.get(i, i) for i in axis) for axis in term.axes),
        summed=tuple(names.get(i, i) for i in term.summed),
    )


def fresh(term: Term) -> Term:
    """The term over indices of its own."""
    indices = [*(i for axis in term.axes for i in axis), *term.summed]
    return renamed(term, {index: Index(index.size) for index in indices})


def matched(one: Term, other: Term, places: Sequence[tuple[int, int]]) -> tuple[Term, Term] | None:
    """Two terms that share the indices of pairs of axes; None where an axis is cut differently.

    An axis of length 1 of the first gets the indices of the second's, along which it is constant.
    """
    other = fresh(other)
    for mine, theirs in places:
        first, second = one.axes[mine], other.axes[theirs]
        if first and second:
            pair = _cut(one, mine, second), _cut(other, theirs, first)
            if [i.size for i in pair[0].axes[mine]] != [i.size for i in pair[1].axes[theirs]]:
                return None
            one, other = pair
            names = dict(zip(other.axes[theirs], one.axes[mine], strict=True))
            other = renamed(other, names)
        elif second:
            axes = (*one.axes[:mine], second, *one.axes[mine + 1 :])
            one = dataclasses.replace(one, axes=axes)
    return one, other


def _cut(term: Term, place: int, like: Sequence[Index]) -> Term:
    """An axis along which nothing changes, cut as another one is."""
    axis = term.axes[place]
    if len(axis) > 1 or len(like) == 1 or term.touching(axis[0]):
        return term
    axes = (*term.axes[:place], tuple(Index(i.size) for i in like), *term.axes[place + 1 :])
    return dataclasses.replace(term, axes=axes)


def spread(term: Term, shape: Shape) -> Term:
    """The term for an array of `shape`, constant along axes of length 1, and along new ones."""
    axes = [*((),) * (len(shape) - len(term.axes)), *term.axes]
    full = [
        (Index(side),) if side > 1 and not axis else axis
        for axis, side in zip(axes, shape, strict=True)
    ]
    return dataclasses.replace(term, axes=tuple(full))


def regrouped(term: Term, shape: Shape) -> Term | None:
    """The term as an array of another shape, where no index is cut."""
    indices = [index for axis in term.axes for index in axis]
    axes = []
    for side in shape:
        axis: list[Index] = []
        while (made := math.prod(index.size for index in axis)) < side and indices:
            if side % made:
                return None
            left, first = side // made, indices[0]
            if first.size > left and first.size % left == 0 and not term.touching(first):
                indices[:1] = [Index(left), Index(first.size // left)]
            axis.append(indices.pop(0))
        if math.prod(index.size for index in axis) != side:
            return None
        axes.append(tuple(axis))
    return dataclasses.replace(term, axes=tuple(axes))
