"""Monomials of two blocks: L A^T B R, and with constant rows of a bias A M B R and A M B^T R.

The first is a sum over the rows of A and B, with coefficients for every row of the result; in the
others a row of A meets each row of B, with coefficients for every row of B.
"""

from collections.abc import Callable, Mapping

import numpy as np

from elsa.prompts.layout import Box
from elsa.readback.formulas_forms import (
    Boxes,
    Embed,
    Form,
    Group,
    Values,
    channels,
    common,
    others,
    rows,
)
from elsa.readback.polynomial import Polynomial


def quadratic(p: Polynomial, boxes: Boxes, target: str, first: str, second: str) -> Group | None:
    place, same = boxes[target], first == second
    pairs = dict.fromkeys([(first, second), (second, first)])
    a, b = boxes[first], boxes[second]
    meeting, here = common(a.rows, b.rows), common(place.rows, a.rows, b.rows)
    found: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {}  # monomials for each row of the block that has its own
    if meeting:
        values = p.of_rows[rows(place), channels(a), channels(b), channels(place)]
        other = p.of_rows[rows(place), channels(b), channels(a), channels(place)]
        found["rows"] = (values + other.swapaxes(1, 2)) * (0.5 if same else 1.0)
        counts["rows"] = others(place.rows, meeting)
    for asker, held in pairs:
        x, y = boxes[asker], boxes[held]
        asking = common(place.rows, x.rows)
        if asking:
            found[asker] = p.with_rows[channels(x), rows(y), channels(y), channels(place)]
            counts[asker] = others(y.rows, asking)
    if not found:
        return None

    def in_one_row(values: Values, row: int) -> np.ndarray:
        """Coefficients of h_ia h_ib, [a, b, o]."""
        total = np.zeros((a.width, b.width, place.width))
        if "rows" in values:
            total = total + values["rows"][row - place.row]
        for asker, held in pairs:
            if asker in values:
                own = values[asker][:, row - boxes[held].row]
                total = total + (own if asker == first else own.swapaxes(0, 1))
        return (total + total.swapaxes(0, 1)) / 2 if same else total

    def vector(values: Values) -> np.ndarray:
        parts = []
        for key in found:
            own = values.get(key, np.zeros_like(found[key]))
            axis, twice = (0, 1.0 + same) if key == "rows" else (1, 1.0)
            shape = [-1 if k == axis else 1 for k in range(4)]
            parts.append(np.sqrt(twice * counts[key]).reshape(shape) * own)
        parts += [np.sqrt(1.0 + same) * in_one_row(values, row) for row in here]
        return np.concatenate([part.ravel() for part in parts])

    total = vector(found)
    _gather_in_one_row(found, counts, boxes, target, first, second, in_one_row)
    forms: list[Form] = []
    for asker, held in pairs:
        if asker in found and boxes[asker].rows == place.rows:
            forms += _asked(found[asker], asker, held, boxes[held], vector)
    if "rows" in found and a.rows == b.rows:
        for pair in pairs:
            turn = pair[0] != first

            def embed(array: np.ndarray, turn: bool = turn) -> np.ndarray:
                own = array.swapaxes(1, 2) if turn else array
                return vector({"rows": (own + own.swapaxes(1, 2)) / 2 if same else own})

            values = found["rows"].swapaxes(1, 2) if turn else found["rows"]
            forms.append(Form("A^T B", pair, "rows", values, embed, symmetric=same))
    return Group(target, total, forms)


def _asked(
    values: np.ndarray, asker: str, held: str, box: Box, vector: Callable[[Values], np.ndarray]
) -> list[Form]:
    """A M B R and A M B^T R, for the coefficients [a, j, b, o], and b A R for a number b."""
    operands = (asker, held)
    forms = [
        Form("A B", operands, asker, values, lambda array: vector({asker: array})),
        Form(
            "A B^T",
            operands,
            asker,
            values.swapaxes(1, 2),
            lambda array: vector({asker: array.swapaxes(1, 2)}),
        ),
    ]
    if box[2:] == (1, 1):
        number = values[:, 0, 0][None, None]
        embed: Embed = lambda array: vector({asker: array[0, 0][:, None, None]})  # noqa: E731
        forms.insert(0, Form("b A", (held, asker), asker, number, embed))
    return forms


def _gather_in_one_row(
    found: dict[str, np.ndarray],
    counts: Mapping[str, np.ndarray],
    boxes: Boxes,
    target: str,
    first: str,
    second: str,
    in_one_row: Callable[[Values, int], np.ndarray],
) -> None:
    """What monomials of one row alone can tell, given to one way of writing it; others get 0."""
    place, a, b = boxes[target], boxes[first], boxes[second]
    for row in common(place.rows, a.rows, b.rows):
        places = {first: (1, row - b.row), second: (1, row - a.row), "rows": (0, row - place.row)}
        free = [key for key in places if key in found and not counts[key][places[key][1]]]
        if not free:
            continue
        whole = in_one_row(found, row)
        for key in free:
            found[key] = found[key].copy()
            np.moveaxis(found[key], places[key][0], 0)[places[key][1]] = 0.0
        rest = whole - in_one_row(found, row)
        lands = [k for k in free if k == "rows" or boxes[k].rows == place.rows]
        key = (lands or free)[0]
        own = rest.swapaxes(0, 1) if key == second != first else rest
        np.moveaxis(found[key], places[key][0], 0)[places[key][1]] = own
