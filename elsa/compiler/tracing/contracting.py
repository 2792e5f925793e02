"""Sums over indices of unformed products, as matrix products, and what is formed of them.

Where an index meets two factors its sum is their product; where it meets one, a product with ones;
and an inner product of two matrices where they share both. A constant along an index is multiplied
into another factor along it. An index of an axis may meet one factor only: the diagonal of A B^T is
no product of A and B.
"""

import dataclasses
import string
from collections.abc import Sequence

import numpy as np

from elsa.base.matrices import of_entries
from elsa.compiler.tracing.constants import Constant, constant_of, in_full
from elsa.compiler.tracing.elementwise import elementwise, groups, inner_product
from elsa.compiler.tracing.graph import Graph, Ref, number
from elsa.compiler.tracing.graph import constant_of as constant_at
from elsa.compiler.tracing.unformed import Factor, Index, Term, Unformed
from elsa.compiler.tracing.values import Known, Value, whole


def contracted(graph: Graph, term: Term) -> Term:
    """The term with every sum carried out that is a matrix product."""
    term = _folded(graph, term)
    while ways := [way for index in term.summed if (way := _summed(graph, term, index))]:
        _, term = min(ways, key=lambda way: way[0])
        term = _folded(graph, term)
    return term


def _summed(graph: Graph, term: Term, index: Index) -> tuple[int, Term] | None:
    """The term after the sum over one index, and the entries of what that forms."""
    touching = term.touching(index)
    rest = [factor for factor in term.factors if factor not in touching]
    left = tuple(i for i in term.summed if i is not index)
    coefficient = term.coefficient
    if not touching:
        coefficient = coefficient * index.size
    elif len(touching) == 1:
        (factor,) = touching
        ones = graph.const(np.ones((1, index.size)))
        rest.append(Factor(graph.mul(ones, factor.along(index)), None, factor.other(index)))
    elif len(touching) == 2:
        one, two = touching
        row, column = one.other(index), two.other(index)
        if row is not None and row is column:
            if row not in left or len(term.touching(row)) > 2:
                return None
            left = tuple(i for i in left if i is not row)
            inner = inner_product(graph, one.along(index), two.along(index))
            rest.append(Factor(inner, None, None))
        else:
            rest.append(Factor(graph.mul(one.along(index).T, two.along(index)), row, column))
    else:
        return None
    size = int(np.prod(rest[-1].ref.shape)) if touching else 0
    return size, Term(coefficient, tuple(rest), term.axes, left)


def _folded(graph: Graph, term: Term) -> Term:
    """Constants multiplied into the other factors along their indices, where these are too many."""
    for factor in term.factors:
        if not factor.known:
            continue
        rest = [other for other in term.factors if other is not factor]
        if not factor.ends:
            numbers = number(factor.ref) * term.coefficient
            return _folded(
                graph, dataclasses.replace(term, coefficient=numbers, factors=tuple(rest))
            )
        row = factor.ends[0]
        if all(len(term.touching(end)) <= 1 + (end in term.summed) for end in factor.ends):
            continue
        others = [other for other in rest if set(factor.ends) <= set(other.ends)]
        if not others:
            continue
        other = min(others, key=lambda found: found.known)
        array, ref = in_full(constant_at(factor.along(row))), other.along(row)
        scaled = elementwise(graph, Value(ref, ref.shape), Known(array), ref.shape)
        rest[rest.index(other)] = Factor(scaled.ref, row, other.other(row))
        return _folded(graph, dataclasses.replace(term, factors=tuple(rest)))
    return term


def formed(graph: Graph, array: Unformed) -> Value | None:
    """The array as a matrix value; None where it is not one."""
    if len(array.shape) > 2:
        return None
    refs = []
    for term in array.terms:
        ref = _matrix(graph, term)
        if ref is None:
            return None
        refs.append(ref)
    if len(refs) == 1:
        return Value(refs[0], array.shape)
    full = [whole(graph, Value(ref, array.shape)) for ref in refs]
    return Value(graph.add((graph.coefficient(1.0), ref) for ref in full), array.shape)


def _matrix(graph: Graph, term: Term) -> Ref | None:
    rows, columns = (*term.axes, (), ())[:2]
    if term.summed:
        return None
    scalars = [factor.ref for factor in term.factors if not factor.ends]
    factors = [factor for factor in term.factors if factor.ends]
    if len(rows) > 1 or len(columns) > 1:
        ref = _kronecker(graph, factors, rows, columns)
    else:
        ref = _outer(graph, factors, *(axis[0] if axis else None for axis in (rows, columns)))
    if ref is None:
        return None
    ref = graph.scaled(term.coefficient, ref)
    for scalar in scalars:
        ref = graph.scale(scalar, ref)
    return ref


def _outer(
    graph: Graph, factors: Sequence[Factor], row: Index | None, column: Index | None
) -> Ref | None:
    """The matrix of factors along one index a side, each along another; 1 x 1 for none of them."""
    ends = [end for factor in factors for end in factor.ends]
    if len(ends) != len(set(ends)):
        return None
    refs: list[Ref] = []
    for factor in factors:
        if row in factor.ends:
            assert row is not None
            refs.insert(0, factor.along(row))
        else:
            assert column is not None
            refs.append(factor.along(column).T)
    if not refs:
        return graph.const(np.ones((1, 1)))
    return refs[0] if len(refs) == 1 else graph.mul(*refs)


def _kronecker(
    graph: Graph, factors: Sequence[Factor], rows: Sequence[Index], columns: Sequence[Index]
) -> Ref | None:
    """K (x) A = sum of (u (x) I) A (v (x) I)^T: constants along all but one index of a side."""
    data = [factor for factor in factors if not factor.known]
    ends = [end for factor in data for end in factor.ends]
    row, column = ([end for end in ends if end in side] for side in (rows, columns))
    if len(row) > 1 or len(column) > 1:
        return None
    if any(set(factor.ends) & set(ends) for factor in factors if factor.known):
        return None
    core = _outer(graph, data, row[0] if row else None, column[0] if column else None)
    if core is None:
        return None
    around = [[i for i in side if i not in ends] for side in (rows, columns)]
    full = _product(graph, [factor for factor in factors if factor.known], *around)
    by_rows, by_columns = groups(full), groups(np.swapaxes(full, 1, 2))
    if len(by_columns) < len(by_rows):
        pairs = [(line, where) for where, line in by_columns]
    else:
        pairs = by_rows
    terms = []
    for left, right in pairs:
        before = graph.const(_spread(left, rows, row))
        after = graph.const(_spread(right, columns, column))
        terms.append(graph.mul(graph.mul(before, core), after.T))
    if not terms:
        return graph.const(np.zeros((1, 1)))
    return graph.add((graph.coefficient(1.0), term) for term in terms)


def _product(
    graph: Graph, factors: Sequence[Factor], rows: Sequence[Index], columns: Sequence[Index]
) -> np.ndarray:
    """Constants multiplied with one another, [variants, entries of rows, entries of columns]."""
    letters = dict(zip((*rows, *columns), string.ascii_letters, strict=False))
    operands, names = [np.ones([graph.variants, *(i.size for i in letters)])], []
    names.append("..." + "".join(letters.values()))
    for factor in factors:
        array = in_full(constant_at(factor.ref))
        array = array.reshape(graph.variants, *(end.size for end in factor.ends))
        operands.append(array)
        names.append("..." + "".join(letters[end] for end in factor.ends))
    full: np.ndarray = np.einsum(f"{','.join(names)}->{names[0]}", *operands)
    shape = [int(np.prod([i.size for i in side])) for side in (rows, columns)]
    return full.reshape(graph.variants, *shape)


def _spread(numbers: np.ndarray, side: Sequence[Index], own: Sequence[Index]) -> Constant:
    """u (x) I [variants, entries of the side, entries of its own index], in the side's order."""
    variants = len(numbers)
    if not own:
        return numbers.reshape(variants, -1, 1)
    (index,) = own
    rows = np.arange(np.prod([i.size for i in side])).reshape([i.size for i in side])
    rows = np.moveaxis(rows, side.index(index), -1).reshape(-1, index.size)
    columns = np.broadcast_to(np.arange(index.size), rows.shape)
    each = []
    for line in numbers.reshape(variants, -1):
        values = np.broadcast_to(line[:, None], rows.shape)
        shape = rows.size, index.size
        each.append(of_entries(values.ravel(), rows.ravel(), columns.ravel(), shape))
    return constant_of(each, variants)
