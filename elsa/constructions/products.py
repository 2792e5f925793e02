"""Products of square matrices that lie side by side in the rows of the prompt."""

import functools
import string
from collections.abc import Mapping

from jax.typing import DTypeLike
from jaxtyping import Array

from elsa import heads
from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.nn.block_stack import BlockStack
from elsa.nn.layers import ELSA, LSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import natural_layout


def product_elsa(size: int, factors: int, *, dtype: DTypeLike | None = None) -> BlockStack:
    """The product of square matrices, exactly, by factors - 1 layers of one head with biases.

    The prompt holds A, B, C, .. side by side in k rows, and channels that start at zero for AB,
    ABC, .. and the last product, out. Each layer is one head A B of the table,

        Wq = F_A    Bk = I    Wv = F_B F_AB^T

    No stack without biases comes near, at any depth: `theory.product_floor`.

    Args:
      size: k.
      factors: how many matrices, 2 .. 26.
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes A, B, .. [k, k] and returns "out" [k, k].

    Raises:
      TypeError, ValueError: for sizes that are no integers, too small, or too many factors.
    """
    where = "product_elsa"
    checks.size(where, size=(size, 1), factors=(factors, 2))
    if factors > len(string.ascii_uppercase):
        raise ValueError(f"{where}: factors must be at most 26, one for each letter, got {factors}")
    names = string.ascii_uppercase[:factors]
    products = [*(names[:count] for count in range(2, factors)), "out"]
    placed = natural_layout(dict.fromkeys([*names, *products], (size, size)))
    layers = [
        [heads.product(placed, left, right, target)]
        for left, right, target in zip([names[0], *products], names[1:], products, strict=False)
    ]
    modules = [ELSA.from_heads(layer, placed.shape, dtype=dtype) for layer in layers]

    def reference(**blocks: Array) -> Mapping[str, AnyShape]:
        return {"out": functools.reduce(lambda left, right: left @ right, blocks.values())}

    return BlockStack(
        Stack(modules[-1:], 1, prologue=modules[:-1]),
        BlockLayout({name: placed.box(name) for name in names}, placed.shape),
        placed,
        layers,
        outputs={"out": (size, size)},
        name=where,
        reference=reference,
    )


def product_lsa(size: int, *, dtype: DTypeLike | None = None) -> BlockStack:
    """A B^T C / k by one head without biases, the best guess at A B C of any stack of such layers.

        Wq = F_A / k    Wk = F_B    Wv = F_C F_out^T

    For independent entries N(0, 1/k) its relative risk is `theory.product_floor`'s, 1 - 1 / k^2.

    Args:
      size: k.
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes A, B, C [k, k] and returns "out" [k, k].

    Raises:
      TypeError, ValueError: for a size that is no integer or below 1.
    """
    where = "product_lsa"
    checks.size(where, size=(size, 1))
    placed = natural_layout(dict.fromkeys(("A", "B", "C", "out"), (size, size)))
    layer = [heads.triple_product(placed, "A", "B", "C", "out", scale=1.0 / size)]

    def reference(A: Array, B: Array, C: Array) -> Mapping[str, AnyShape]:
        return {"out": A @ B.T @ C / size}

    return BlockStack(
        Stack([LSA.from_heads(layer, placed.shape, dtype=dtype)], 1),
        BlockLayout({name: placed.box(name) for name in "ABC"}, placed.shape),
        placed,
        [layer],
        outputs={"out": (size, size)},
        name=where,
        reference=reference,
    )
