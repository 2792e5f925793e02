"""How the products of one value are computed on the blocks: alone, or many alike at once.

A mask C o B of a triangle takes a head for every row, diag(u) B diag(v), the multiple s B by a
number one for every column, B e s e^T, and the trace of A B one for every entry of its diagonal.
On the blocks these are one element-wise product, one multiple and one sum.
"""

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from elsa.compiler.planning.layers import Assign
from elsa.compiler.planning.products import Product
from elsa.compiler.tracing import constants
from elsa.compiler.tracing.constants import Constant, Varied
from elsa.compiler.tracing.graph import Ref, constant_of

FEW = 16  # products up to which each is computed alone

Kind = Literal["product", "mask", "multiple", "inner"]


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """One product, or some that share their blocks B, or A and B.

    kind: "product": coefficient left A middle B C right, as `Product`.
      "mask": C o (B ..), entry by entry.  "multiple": s B M with s of one entry.
      "inner": the sum of (L A) o (B R)^T over all entries.
    like: the product, or the first of them.
    numbers: what it is computed with, [variants, ...] each: the coefficient, and left, middle and
      right, or C, or M, or L and R.
    """

    kind: Kind
    like: Product
    numbers: tuple[Constant | None, ...]


_FOUND: weakref.WeakKeyDictionary[Assign, tuple[Work, ...]] = weakref.WeakKeyDictionary()


def works(assign: Assign) -> tuple[Work, ...]:
    """What computes a value, in the order of its products."""
    if assign not in _FOUND:
        _FOUND[assign] = _works(assign)
    return _FOUND[assign]


def _works(assign: Assign) -> tuple[Work, ...]:
    alike: dict[tuple[Kind, object], list[Product]] = {}
    for product in assign.products:
        key = product.operands, product.first
        alike.setdefault((_kind(product, assign), key), []).append(product)
    made: list[Work] = []
    for (kind, _), products in alike.items():
        if kind == "product" or len(products) <= FEW:
            made += [Work("product", product, _constants(product)) for product in products]
        else:
            made.append(Work(kind, products[0], _TOGETHER[kind](products)))
    return tuple(made)


def _kind(product: Product, assign: Assign) -> Kind:
    """Which products it can be computed with."""
    ends = product.left, product.right
    shapes = [chain.shape for chain, _ in product.operands]
    diagonal = all(ref and _is_diagonal(constant_of(ref)) for ref in ends)
    if shapes and product.middle is None and diagonal:
        return "mask"
    if len(shapes) != 2 or product.right is None:
        return "product"
    if product.middle is not None and product.left is None and shapes[1] == (1, 1) != shapes[0]:
        return "multiple"
    if assign.target.shape == (1, 1) and product.left is not None and product.middle is None:
        return "inner"
    return "product"


def _is_diagonal(constant: Constant) -> bool:
    if isinstance(constant, Varied):
        places = [matrix.pattern for matrix in constant.each if not matrix.rank]
        return len(places) == len(constant.each) and all(np.array_equal(*p) for p in places)
    rows, columns = np.nonzero(constant.any(axis=0))
    return np.array_equal(rows, columns)


def _constants(product: Product) -> tuple[Constant | None, ...]:
    refs = product.left, product.middle, product.right
    return product.coefficient, *(None if ref is None else constant_of(ref) for ref in refs)


def _mask(products: Sequence[Product]) -> tuple[Constant | None, ...]:
    """The sum of coefficient u v^T."""
    left, right = (
        np.stack([_diagonal(end) for end in ends], axis=1)
        for ends in ([p.left for p in products], [p.right for p in products])
    )
    return (np.swapaxes(_coefficients(products) * left, 1, 2) @ right,)


def _multiple(products: Sequence[Product]) -> tuple[Constant | None, ...]:
    """The sum of coefficient middle right."""
    terms = [
        (p.coefficient, constants.multiplied(constant_of(p.middle), constant_of(p.right)))
        for p in products
        if p.middle is not None and p.right is not None
    ]
    total = constants.summed(terms)
    one = constants.identity_multiple(total)
    return (total,) if one is None or (one != 1).any() else (None,)


def _inner(products: Sequence[Product]) -> tuple[Constant | None, ...]:
    """coefficient left as the rows of L, right as the columns of R."""
    left, right = (
        np.concatenate([_array(end) for end in ends], axis=axis)
        for axis, ends in ((1, [p.left for p in products]), (2, [p.right for p in products]))
    )
    return _coefficients(products) * left, right


_TOGETHER: dict[Kind, Callable[[Sequence[Product]], tuple[Constant | None, ...]]] = {
    "mask": _mask,
    "multiple": _multiple,
    "inner": _inner,
}


def _coefficients(products: Sequence[Product]) -> np.ndarray:
    """[variants, products, 1]."""
    return np.stack([product.coefficient for product in products], axis=1)[:, :, None]


def _diagonal(ref: Ref | None) -> np.ndarray:
    """[variants, size]"""
    assert ref is not None
    constant = constant_of(ref)
    if not isinstance(constant, Varied):
        return np.diagonal(constant, axis1=1, axis2=2)
    lines = np.stack([matrix.entries.diagonal() for matrix in constant.each])
    return np.broadcast_to(lines, (constant.variants, lines.shape[1]))


def _array(ref: Ref | None) -> np.ndarray:
    assert ref is not None
    return constants.in_full(constant_of(ref))
