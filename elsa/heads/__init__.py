"""Heads that compute products of named blocks, symbolic until their weights are needed."""

from elsa.heads import table
from elsa.heads.products import (
    constant,
    move,
    product,
    product_transposed,
    skip,
    times_constant,
    transpose,
    transposed_product,
    triple_product,
)

__all__ = [
    "constant",
    "move",
    "product",
    "product_transposed",
    "skip",
    "table",
    "times_constant",
    "transpose",
    "transposed_product",
    "triple_product",
]
