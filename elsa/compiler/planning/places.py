"""Where a value can hold anything but zero, and which constants only put entries in places."""

import functools
from typing import NamedTuple

import numpy as np

from elsa.compiler.tracing import constants
from elsa.compiler.tracing.constants import Constant
from elsa.compiler.tracing.graph import Node, Ref, constant_of

_MAX_BOXES = 64  # of one value; more are taken as the one that holds them all


class _Box(NamedTuple):
    """Some rows and some columns, as truth values of all of them."""

    rows: np.ndarray
    columns: np.ndarray


Places = tuple[_Box, ...]  # the boxes outside of which a value is zero


def places_of(ref: Ref) -> Places:
    """The places of a value, found once; of a long chain of values the first ones first."""
    if not ref.node.places:
        ref.node.places = _found(ref.node)
    boxes: Places = ref.node.places
    return tuple(_Box(box.columns, box.rows) for box in boxes) if ref.flipped else boxes


def _found(node: Node) -> Places:
    if node.constant is not None:
        return _filled(node.constant)
    parts = [places_of(part) for _, part in node.parts]
    if node.kind == "mul":
        left, right = (part for _, part in node.parts)
        if left.node.kind == "const":
            rows = constant_of(left)
            return tuple(_Box(constants.reached(rows, b.rows), b.columns) for b in parts[1])
        if right.node.kind == "const":
            columns = constants.transposed(constant_of(right))
            return tuple(_Box(b.rows, constants.reached(columns, b.columns)) for b in parts[0])
        return (_Box(_all(parts[0]).rows, _all(parts[1]).columns),)
    if node.kind == "scale":
        return parts[1]
    if node.kind == "add":
        boxes = tuple(box for part in parts for box in part)
        return boxes if len(boxes) <= _MAX_BOXES else (_all(boxes),)
    return (_Box(*(_everywhere(size) for size in node.shape)),)


def _filled(constant: Constant) -> Places:
    """The places of a constant: rows that are filled alike are one box, a large one is one."""
    if not isinstance(constant, np.ndarray):
        sides = constant, constants.transposed(constant)
        rows, columns = (constants.reached(c, _everywhere(c.shape[2])) for c in sides)
        return (_Box(rows, columns),)
    entries = (constant != 0).any(axis=0)
    if entries.all():
        return (_Box(*map(_everywhere, entries.shape)),)
    patterns, which = np.unique(entries, axis=0, return_inverse=True)
    boxes = tuple(_Box(which.ravel() == i, pattern) for i, pattern in enumerate(patterns))
    return (
        boxes
        if 0 < len(boxes) <= _MAX_BOXES
        else (_Box(np.logical_or.reduce(entries, axis=1), np.logical_or.reduce(entries)),)
    )


def _all(boxes: Places) -> _Box:
    return _Box(*(functools.reduce(_either, lines) for lines in zip(*boxes, strict=True)))


def _either(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Where one of two is true; most are everywhere, or one array, and nothing is made of them."""
    everywhere = _everywhere(some.size)
    if some is everywhere or others is everywhere:
        return everywhere
    return some if some is others else some | others


@functools.lru_cache(maxsize=64)
def _everywhere(size: int) -> np.ndarray:
    """Truth values of all positions, in the memory of one; read-only."""
    return np.broadcast_to(np.True_, size)


def are_apart(node: Node) -> bool:
    """Whether no two parts of a sum can be other than zero in the same place."""
    if node.apart is None:
        node.apart = _are_apart(node)
    return node.apart


def _are_apart(node: Node) -> bool:
    if len(node.parts) < 2:
        return True
    parts = [places_of(part) for _, part in node.parts]
    shape = parts[0][0].rows.size, parts[0][0].columns.size
    if sum(_size(part) for part in parts) > shape[0] * shape[1]:
        return False
    filled = np.zeros(shape, bool)
    for part in parts:
        here = np.zeros(shape, bool)
        for box in part:
            here[np.ix_(box.rows, box.columns)] = True
        if (filled & here).any():
            return False
        filled |= here
    return True


def _size(boxes: Places) -> int:
    """Entries of the largest box, which are at most those of all of them."""
    return max(int(box.rows.sum()) * int(box.columns.sum()) for box in boxes)


def places_only(factor: Ref, *, first: bool) -> bool:
    """Whether a constant has at most one entry in every line that meets the other factor."""
    return constants.most_in_a_line(constant_of(factor), axis=1 if first else 0) <= 1
