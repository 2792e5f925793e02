"""From a schedule's layers to symbolic heads in a private prompt."""

from collections.abc import Sequence

import numpy as np

from elsa.compiler.emitting.slots import Slots
from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Assign, Layer
from elsa.compiler.planning.plan import Product
from elsa.compiler.tracing.graph import Ref, const_array
from elsa.heads.head import Head, Term
from elsa.prompts.layout import Box


def heads_of(
    layer: Layer, index: int, slots: Slots, variant: int, *, variants: int
) -> tuple[Head, ...]:
    """The heads of one layer; with one variant, those that share two factors are one.

    index: of the layer in the schedule.
    """
    heads: list[Head] = []
    one = np.ones(variants)
    for assign in layer:
        over = assign.target in slots.over[index]
        products = _added(assign, one) if over else assign.products
        own = [_head(product, assign.target, slots, variant) for product in products]
        heads += merged(own) if variants == 1 else own
    for chain in sorted(slots.clears[index], key=lambda chain: slots.boxes[chain].col):
        heads.append(_head(Product(-one, ((chain, False),)), chain, slots, variant))
    if not heads:  # everything keeps its value; a layer has at least one head
        target = layer[0].target
        heads.append(_head(Product(0.0 * one, ((target, False),)), target, slots, variant))
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


def _head(product: Product, target: Chain, slots: Slots, variant: int) -> Head:
    """The line of the head table for a product; every block starts at row 0."""
    place, scale = slots.boxes[target], float(product.coefficient[variant])
    left, middle, right = (
        None if ref is None else const_array(ref)[variant]
        for ref in (product.left, product.middle, product.right)
    )
    boxes = [slots.boxes[chain] for chain, _ in product.operands]
    flips = tuple(flip for _, flip in product.operands)
    formula = f"{slots.names[target]} += {_formula(product, slots, variant)}"
    after = np.eye(place.width) if right is None else right
    if not boxes:
        assert left is not None
        query, key, value = _constant(scale * left, slots.shape[0])
    elif len(boxes) == 1:
        query, key, value = _single(boxes[0], flips[0], left, scale, after, slots.shape[0])
    elif flips == (True, False):
        first = np.eye(boxes[0].width) if left is None else left
        query = _rows(scale * first)
        key, value = _channels(boxes[0]), _channels(boxes[1], after)
    elif flips == (False, False):
        query = _channels(boxes[0], scale * _or_eye(middle, boxes[0].width))
        key, value = _rows(np.eye(boxes[1].height)), _channels(boxes[1], after)
    elif flips == (False, True):
        query = _channels(boxes[0], scale * _or_eye(middle, boxes[0].width))
        turned = np.eye(boxes[1].height) if right is None else right
        key, value = _channels(boxes[1]), _rows(turned)
    else:
        query = _channels(boxes[0], scale * _or_eye(middle, boxes[0].width))
        key, value = _channels(boxes[1]), _channels(boxes[2], after)
    return Head(formula, query, key, value, place.channels)


_Factors = tuple[tuple[Term, ...], tuple[Term, ...], tuple[Term, ...]]


def _constant(matrix: np.ndarray, rows: int) -> _Factors:
    """C: Bq = E C, Bk = Bv = E with p its width, or p its height where that is smaller."""
    height, width = matrix.shape
    if width <= min(height, rows):
        return _rows(matrix), _rows(np.eye(width)), _rows(np.eye(width))
    return _rows(np.eye(height)), _rows(np.eye(height)), _rows(matrix)


def _single(
    box: Box, flip: bool, left: np.ndarray | None, scale: float, after: np.ndarray, rows: int
) -> _Factors:
    """s C A M or s C A^T M; without C and flip by rows, p = height, or by channels, p = width.

    C A has p the height of C or of A: the mean of n rows takes one key, not n.
    """
    if flip:
        first = np.eye(box.width) if left is None else left
        return _rows(scale * first), _channels(box), _rows(_or_eye(after, box.height))
    if left is None and after.shape[1] <= min(box.height, rows):
        width = after.shape[1]
        return _channels(box, scale * after), _rows(np.eye(width)), _rows(np.eye(width))
    first = np.eye(box.height) if left is None else left
    if len(first) < box.height:
        return _rows(scale * np.eye(len(first))), _rows(first.T), _channels(box, after)
    return _rows(scale * first), _rows(np.eye(box.height)), _channels(box, after)


def _or_eye(matrix: np.ndarray | None, size: int) -> np.ndarray:
    return np.eye(size) if matrix is None else matrix


def _rows(matrix: np.ndarray) -> tuple[Term, ...]:
    return (Term("rows", range(matrix.shape[0]), matrix),)


def _channels(box: Box, matrix: np.ndarray | None = None) -> tuple[Term, ...]:
    return (Term("channels", box.channels, _or_eye(matrix, box.width)),)


def load(moves: Sequence[tuple[str, Box, Box, bool]]) -> tuple[Head, ...]:
    """The layer that brings blocks from the caller's places to private ones.

    Args:
      moves: name, the caller's box, the private box, and whether the caller stores it transposed.
    """
    heads = []
    for name, origin, place, turned in moves:
        if turned:
            query, key = _rows(np.eye(place.height)), _channels(origin)
            value: tuple[Term, ...] = (Term("rows", origin.rows, np.eye(origin.height)),)
        else:
            query = _rows(np.eye(place.height))
            key = (Term("rows", origin.rows, np.eye(origin.height)),)
            value = _channels(origin)
        formula = f"{name} += given {name}" + ("^T" if turned else "")
        heads.append(Head(formula, query, key, value, place.channels))
    return tuple(heads)


def merged(heads: Sequence[Head]) -> list[Head]:
    """Heads that share two of three factors and their channels, as one with a summed third."""
    found: list[Head] = []
    for head in heads:
        for index, other in enumerate(found):
            joint = _merge(other, head)
            if joint is not None:
                found[index] = joint
                break
        else:
            found.append(head)
    return found


def _merge(a: Head, b: Head) -> Head | None:
    if a.into != b.into:
        return None
    same = [_same(getattr(a, part), getattr(b, part)) for part in ("query", "key", "value")]
    if sum(same) < 2:
        return None
    summed = {
        part: getattr(a, part) if equal else getattr(a, part) + getattr(b, part)
        for part, equal in zip(("query", "key", "value"), same, strict=True)
    }
    if all(same):
        summed["query"] = a.query + b.query
    return Head(_joined(a.formula, b.formula), **summed, into=a.into)


def _joined(first: str, second: str) -> str:
    added = second.split(" += ", 1)[1]
    return f"{first} - {added[1:]}" if added.startswith("-") else f"{first} + {added}"


def _same(a: tuple[Term, ...], b: tuple[Term, ...]) -> bool:
    return len(a) == len(b) and all(
        s.axis == t.axis and s.span == t.span and np.array_equal(s.matrix, t.matrix)
        for s, t in zip(a, b, strict=True)
    )


def _formula(product: Product, slots: Slots, variant: int) -> str:
    """`-0.1 M A^T B`, constants as letters."""
    scale = float(product.coefficient[variant])
    words = [{1.0: "", -1.0: "-"}.get(scale, f"{scale:.6g} ")]
    if product.left is not None:
        words.append(_letter(product.left) + " ")
    for index, (chain, flip) in enumerate(product.operands):
        name = slots.names[chain]
        turned = f"({name})^T" if " " in name or "^" in name else f"{name}^T"
        shown = turned if flip else name
        words.append(f"({shown}) " if " " in shown and not shown.startswith("(") else f"{shown} ")
        if index == 0 and product.middle is not None:
            words.append(_letter(product.middle) + " ")
    if product.right is not None:
        words.append(_letter(product.right) + " ")
    return "".join(words).strip()


def _letter(ref: Ref) -> str:
    """A constant in a formula: C with its shape."""
    rows, columns = ref.shape
    return f"C[{rows}x{columns}]"
