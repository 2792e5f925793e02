"""Monomials of three blocks, A M B^T C R: a row of A meets the sum over the rows of B and C."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from elsa.prompts.layout import Box
from elsa.readback.formulas_forms import Boxes, Form, Group, Values, channels, common
from elsa.readback.polynomial import Polynomial


def cubic(p: Polynomial, boxes: Boxes, target: str, *names: str) -> Group | None:
    place, box = boxes[target], [boxes[name] for name in names]
    alike = [q for q in itertools.permutations(range(3)) if [names[k] for k in q] == list(names)]
    alone = len(common(place.rows, *(b.rows for b in box)))
    patterns: dict[tuple[str, ...], tuple[int, ...]] = {}
    for order in itertools.permutations(range(3)):
        if order[1] < order[2]:
            patterns.setdefault(tuple(names[k] for k in order), order)
    found: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for order in patterns.values():
        a, b, c = (box[k] for k in order)
        key = _key(order)
        counts[key] = len(common(place.rows, a.rows)) * len(common(b.rows, c.rows)) - alone
        if counts[key] or alone:
            x, y, z, o = (channels(part) for part in (a, b, c, place))
            both = p.cubic[x, y, z, o] + p.cubic[x, z, y, o].swapaxes(1, 2)
            found[key] = both * (0.5 if b == c else 1.0)
    if not found:
        return None

    def in_one_row(values: Values) -> np.ndarray:
        """Coefficients of h_ia h_ib h_ic, [a, b, c, o] in the order of the names."""
        total = np.zeros([*(b.width for b in box), place.width])
        for order in patterns.values():
            if _key(order) in values:
                total = total + values[_key(order)].transpose(*np.argsort(order), 3)
        return np.asarray(sum(total.transpose(*q, 3) for q in alike)) / len(alike)

    def vector(values: Values) -> np.ndarray:
        parts = []
        for order in patterns.values():
            key = _key(order)
            if key in found and counts[key]:
                twice = 2.0 if names[order[1]] == names[order[2]] else 1.0
                own = values.get(key, np.zeros_like(found[key]))
                parts.append(np.sqrt(twice * counts[key]) * own)
        if alone:
            parts.append(np.sqrt(len(alike) * alone) * in_one_row(values))
        return np.concatenate([part.ravel() for part in parts])

    total = vector(found)
    lands = [o for o in patterns.values() if _lands(place, *(box[k] for k in o))]
    free = [order for order in patterns.values() if alone and not counts[_key(order)]]
    if free:
        whole = in_one_row(found)
        for order in free:
            found[_key(order)] = np.zeros_like(found[_key(order)])
        chosen = next((order for order in free if order in lands), free[0])
        found[_key(chosen)] = (whole - in_one_row(found)).transpose(*chosen, 3)
    forms: list[Form] = []
    for order in lands:
        if _key(order) in found:
            forms += _triple(found[_key(order)], names, order, vector)
    return Group(target, total, forms)


def _triple(
    values: np.ndarray,
    names: Sequence[str],
    order: tuple[int, ...],
    vector: Callable[[Values], np.ndarray],
) -> list[Form]:
    """A M B^T C R and A M C^T B R for the coefficients [a, b, c, o]."""
    a, b, c = (names[k] for k in order)
    key = _key(order)
    if b == c:

        def mean(array: np.ndarray) -> np.ndarray:
            return vector({key: (array + array.swapaxes(1, 2)) / 2})

        return [Form("A B^T C", (a, b, c), key, values, mean, symmetric=True)]
    turned = values.swapaxes(1, 2)
    return [
        Form("A B^T C", (a, b, c), key, values, lambda array: vector({key: array})),
        Form("A B^T C", (a, c, b), key, turned, lambda array: vector({key: array.swapaxes(1, 2)})),
    ]


def _lands(place: Box, a: Box, b: Box, c: Box) -> bool:
    return a.rows == place.rows and b.rows == c.rows


def _key(order: tuple[int, ...]) -> str:
    return "".join(map(str, order))
