"""What one head computes, and what a value costs to be stored."""

import dataclasses
from typing import Literal

import numpy as np

from elsa.compiler.planning.chains import Chain
from elsa.compiler.tracing.graph import Ref

First = Literal["left", "right"] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """One head: coefficient * left A middle B C right, each operand stored, perhaps flipped.

    coefficient: [variants].
    operands: up to three (stored chain, True where its transpose enters).
    left, middle, right: constants or None; `middle` stands between the first two operands.
    first: which two of three operands the step multiplies first; None where any may be.
    """

    coefficient: np.ndarray
    operands: tuple[tuple[Chain, bool], ...]
    left: Ref | None = None
    middle: Ref | None = None
    right: Ref | None = None
    first: First = None


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """How a chain comes to be stored.

    level: the layer of the step after which it is there; 0 before the step.
    prologue: the layer of the prologue after which it is there; 0 for the input itself.
    heads, entries: what it costs, the values it needs included.
    products: what adds up to it; empty for an input, a state, or a state's transpose.
    """

    level: int
    prologue: int
    heads: int
    entries: int
    products: tuple[Product, ...] = ()


def operands_of(products: tuple[Product, ...]) -> list[Chain]:
    """The stored chains that heads read, as often as they do."""
    return [chain for product in products for chain, _ in product.operands]
