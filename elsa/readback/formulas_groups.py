"""A layer's polynomial in groups of monomials that no two lines of different blocks share.

Blocks share no entries, so a monomial says which block it is written to and which blocks it is made
of. Within such a group the lines of the head table meet where all rows of a monomial are one: there
h_ia h_jb h_jc is the same for every line of these blocks.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from elsa.readback.formulas_cubic import cubic
from elsa.readback.formulas_forms import Boxes, Form, Group, channels, common, rows
from elsa.readback.formulas_quadratic import quadratic
from elsa.readback.polynomial import Polynomial


def groups(
    polynomial: Polynomial, boxes: Boxes, live: Sequence[str], read: Sequence[str]
) -> Iterator[Group]:
    """All groups of a layer that hold a coefficient other than 0.

    Args:
      polynomial: of the layer.
      boxes: where the blocks lie.
      live: the blocks that it may read.
      read: the blocks that count of what it writes.
    """
    for target in read:
        found: list[Group | None] = [_constant(polynomial, boxes, target)]
        found += [_linear(polynomial, boxes, target, name) for name in live]
        for pair in itertools.combinations_with_replacement(live, 2):
            found.append(quadratic(polynomial, boxes, target, *pair))
        for triple in itertools.combinations_with_replacement(live, 3):
            found.append(cubic(polynomial, boxes, target, *triple))
        yield from (group for group in found if group is not None and group.vector.any())


def _constant(p: Polynomial, boxes: Boxes, target: str) -> Group:
    place = boxes[target]
    values = p.constant[rows(place), channels(place)]
    form = Form("C", (), "constant", values[None, None], np.ravel)
    return Group(target, values.ravel(), [form])


def _linear(p: Polynomial, boxes: Boxes, target: str, name: str) -> Group:
    place, box = boxes[target], boxes[name]
    values = p.moved[rows(place), rows(box), channels(box), channels(place)].copy()
    for row in common(place.rows, box.rows):
        values[row - place.row, row - box.row] += p.own[channels(box), channels(place)]
    turned = values.swapaxes(1, 2)
    forms = [
        Form("A", (name,), "moved", values, np.ravel),
        Form("A^T", (name,), "moved", turned, lambda array: array.swapaxes(1, 2).ravel()),
    ]
    if box[2:] == (1, 1) != place[2:]:
        number = values[:, 0, 0][None, None]
        forms.insert(0, Form("b", (name,), "moved", number, np.ravel))
    return Group(target, values.ravel(), forms)
