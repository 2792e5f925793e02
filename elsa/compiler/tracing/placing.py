"""Slices of arrays that are not formed, and such arrays between zeros."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from elsa.base.matrices import selection
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.unformed import Factor, Index, Term, Unformed, terms_of
from elsa.compiler.tracing.values import Known, Operand

Array = Operand | Unformed
Terms = Sequence[Term]


def sliced(graph: Graph, eqn: Any, array: Array) -> Sequence[Terms] | None:
    """The rule of `slice`; None where an axis is one of several indices."""
    strides = eqn.params["strides"] or (1,) * len(array.shape)
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    terms: Terms | None = terms_of(graph, array)
    for place, cut in enumerate(zip(starts, limits, strides, strict=True)):
        terms = _each_picked(graph, terms, place, np.arange(*cut))
    return None if terms is None else [terms]


def split(graph: Graph, eqn: Any, array: Array) -> Sequence[Terms] | None:
    """The rule of `split`."""
    start, parts = 0, []
    for size in map(int, eqn.params["sizes"]):
        rows, start = np.arange(start, start + size), start + size
        terms = _each_picked(graph, terms_of(graph, array), eqn.params["axis"], rows)
        if terms is None:
            return None
        parts.append(terms)
    return parts


def padded(graph: Graph, eqn: Any, array: Array, filler: Array) -> Sequence[Terms] | None:
    """The rule of `pad`, with zeros, and nothing cut off."""
    config, shape = eqn.params["padding_config"], eqn.outvars[0].aval.shape
    if not isinstance(filler, Known) or np.any(filler.array) or min(map(min, config)) < 0:
        return None
    terms: Terms | None = terms_of(graph, array)
    for place, (low, _, inner) in enumerate(config):
        rows = low + (inner + 1) * np.arange(array.shape[place])
        terms = _put(graph, terms, place, rows, shape[place])
    return None if terms is None else [terms]


def joined(graph: Graph, eqn: Any, *arrays: Array) -> Sequence[Terms] | None:
    """The rule of `concatenate`: the sum of each array between zeros."""
    place, start, parts = eqn.params["dimension"], 0, list[Term]()
    for array in arrays:
        rows, start = np.arange(start, start + array.shape[place]), start + array.shape[place]
        terms = _put(graph, terms_of(graph, array), place, rows, eqn.outvars[0].aval.shape[place])
        if terms is None:
            return None
        parts += terms
    return [parts]


def picked(graph: Graph, term: Term, place: int, rows: np.ndarray) -> Term | None:
    """Some entries along an axis, in this order; None where it is one of several indices."""
    axis = term.axes[place]
    if len(axis) > 1:
        return None
    size = axis[0].size if axis else 1
    if np.array_equal(rows, np.arange(size)):
        return term
    return _moved(graph, term, place, graph.const(selection(rows, size)))


def _each_picked(
    graph: Graph, terms: Terms | None, place: int, rows: np.ndarray
) -> list[Term] | None:
    found = [picked(graph, term, place, rows) for term in terms or ()]
    return [term for term in found if term is not None] if found and None not in found else None


def _put(
    graph: Graph, terms: Terms | None, place: int, rows: np.ndarray, size: int
) -> list[Term] | None:
    """The entries of an axis at these places of a longer one, between zeros."""
    if not terms or any(len(term.axes[place]) > 1 for term in terms):
        return None
    if len(rows) == size:
        return list(terms)
    matrix = graph.const(selection(rows, size).T)
    return [_moved(graph, term, place, matrix, everywhere=False) for term in terms]


def _moved(graph: Graph, term: Term, place: int, matrix: Ref, *, everywhere: bool = True) -> Term:
    """A matrix with at most a one in every row times what runs along an axis.

    everywhere: whether there is one in every row, so that what is constant stays constant.
    """
    axis, (size, length) = term.axes[place], matrix.shape
    old, new = axis[0] if axis else None, Index(size) if size > 1 else None
    touching = term.touching(old) if old is not None else []
    factors = [factor for factor in term.factors if factor not in touching]
    for factor in touching:
        assert old is not None
        factors.append(Factor(graph.mul(matrix, factor.along(old)), new, factor.other(old)))
    if not touching and not everywhere:
        factors.append(Factor(graph.mul(matrix, graph.const(np.ones((length, 1)))), new, None))
    axes = (*term.axes[:place], (new,) if new else (), *term.axes[place + 1 :])
    return dataclasses.replace(term, axes=axes, factors=tuple(factors))
