"""From a schedule's layers to symbolic heads in a private prompt."""

from collections.abc import Sequence

import numpy as np

from elsa.base.matrices import Matrix, key_of
from elsa.compiler.emitting.slots import Placed
from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Assign, Layer, formula
from elsa.compiler.planning.products import Product
from elsa.compiler.tracing.constants import matrix_of
from elsa.compiler.tracing.graph import constant_of, joined
from elsa.heads import factors
from elsa.heads.factors import Factors, Operand
from elsa.heads.head import Head
from elsa.prompts.layout import Box


def heads_of(
    layer: Layer, index: int, placed: Placed, variant: int, *, variants: int
) -> tuple[Head, ...]:
    """The heads of one layer; with one variant, those that share two factors are one.

    index: of the layer in the schedule.
    """
    heads: list[Head] = []
    one = np.ones(variants)
    for assign in layer:
        over = assign.target in placed.over[index]
        products = _added(assign, one) if over else assign.products
        product_heads = [_head(product, assign.target, placed, variant) for product in products]
        heads += merged(product_heads) if variants == 1 else product_heads
    for chain in sorted(placed.clears[index], key=lambda chain: placed.boxes[chain].col):
        heads.append(_head(Product(-one, ((chain, False),)), chain, placed, variant))
    if not heads:  # everything keeps its value; a layer has at least one head
        target = layer[0].target
        heads.append(_head(Product(0.0 * one, ((target, False),)), target, placed, variant))
    return tuple(heads)


def _added(assign: Assign, one: np.ndarray) -> list[Product]:
    """The products that add up to the value minus what it was: a residual adds."""
    products = list(assign.products)
    for index, product in enumerate(products):
        plain = product.left is None and product.right is None
        if plain and product.operands == ((assign.target, False),):
            rest = product.coefficient - one
            kept = [Product(rest, product.operands)] if rest.any() else []
            return products[:index] + kept + products[index + 1 :]
    return [*products, Product(-one, ((assign.target, False),))]


def _head(product: Product, target: Chain, placed: Placed, variant: int) -> Head:
    """The line of the head table for a product; every block starts at row 0."""
    place, scale = placed.boxes[target], float(product.coefficient[variant])
    left, middle, right = (
        None if ref is None else matrix_of(constant_of(ref), variant)
        for ref in (product.left, product.middle, product.right)
    )
    operands = [({placed.boxes[chain]: 1.0}, flipped) for chain, flipped in product.operands]
    if not operands:
        assert left is not None
        made = _constant(scale * left, placed.shape[0])
    elif len(operands) == 1:
        made = _single(operands[0], left, scale, right, place, placed.shape[0])
    elif operands[0][1]:
        query = factors.rows(range(place.height), left, scale=scale)
        made = factors.of(query, *operands, right=right)
    else:
        query = factors.channels(operands[0][0], middle, scale=scale)
        made = factors.of(query, *operands[1:], right=right)
    line = f"{placed.names[target]} += {formula(product, placed.names, variant)}"
    return Head(line, *made, place.channels)


def _constant(matrix: Matrix, rows: int) -> Factors:
    """C: in the queries, with p its width, or in the values, with p its height, if that is less."""
    height, width = matrix.shape
    every = range(height)
    if width <= min(height, rows):
        return factors.of(factors.rows(every, matrix), over=range(width))
    return factors.of(factors.rows(every), right=matrix, over=every)


def _single(
    operand: Operand,
    left: Matrix | None,
    scale: float,
    right: Matrix | None,
    place: Box,
    rows: int,
) -> Factors:
    """s C A M or s C A^T M; without C and flip by rows, p = height, or by channels, p = width.

    C A has p the height of C or of A: the mean of n rows takes one key, not n.
    """
    blocks, flipped = operand
    (box,) = blocks
    if left is None and not flipped and place.width <= min(box.height, rows):
        query = factors.channels(blocks, right, scale=scale)
        return factors.of(query, over=range(place.width))
    every = range(place.height)
    if left is not None and not flipped and left.shape[0] < box.height:
        query = factors.rows(every, scale=scale)
        return factors.of(query, operand, left=left, right=right)
    return factors.of(factors.rows(every, left, scale=scale), operand, right=right)


def load(moves: Sequence[tuple[str, Box, Box, bool]]) -> tuple[Head, ...]:
    """The layer that brings blocks from the caller's places to private ones.

    Args:
      moves: name, the caller's box, the private box, and whether the caller stores it transposed.
    """
    return tuple(
        Head(
            f"{name} += given {name}" + "^T" * turned,
            *factors.of(factors.rows(place.rows), ({origin: 1.0}, turned)),
            place.channels,
        )
        for name, origin, place, turned in moves
    )


def merged(heads: Sequence[Head]) -> list[Head]:
    """Heads that share two of three factors and their channels, as one with a summed third.

    A head is added to the first such one before it.
    """
    joined_heads: list[Head] = []
    names: list[tuple[object, ...]] = []  # what the factors of each are, to compare
    sharing: dict[object, list[int]] = {}  # two factors and channels -> heads that had them
    for head in heads:
        mine = _names(head)
        found = [
            index
            for key in _pairs(head, mine)
            for index in sharing.get(key, ())
            if key in _pairs(joined_heads[index], names[index])
        ]
        place = min(found, default=len(joined_heads))
        if found:
            joined_heads[place] = _merge(joined_heads[place], head, names[place], mine)
            names[place] = _names(joined_heads[place])
        else:
            joined_heads.append(head)
            names.append(mine)
        for key in _pairs(joined_heads[place], names[place]):
            sharing.setdefault(key, []).append(place)
    return joined_heads


def _names(head: Head) -> tuple[object, ...]:
    """What query, key and value are, equal for equal ones."""
    return tuple(
        tuple((term.axis, term.span, key_of(term.matrix)) for term in terms)
        for terms in (head.query, head.key, head.value)
    )


def _pairs(head: Head, names: tuple[object, ...]) -> list[object]:
    """Two of the three factors, in every way, with the channels."""
    return [(head.into, skipped, *names[:skipped], *names[skipped + 1 :]) for skipped in range(3)]


def _merge(a: Head, b: Head, names: tuple[object, ...], others: tuple[object, ...]) -> Head:
    """The sum of two heads that share two factors."""
    same = [x == y for x, y in zip(names, others, strict=True)]
    summed = {
        part: getattr(a, part) if equal else getattr(a, part) + getattr(b, part)
        for part, equal in zip(("query", "key", "value"), same, strict=True)
    }
    if all(same):
        summed["query"] = a.query + b.query
    return Head(joined([a.formula, b.formula.split(" += ", 1)[1]]), **summed, into=a.into)
