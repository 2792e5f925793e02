"""Pure functions of one prompt: linear self-attention, its extended form, mask and move."""

from elsa.attention import gram
from elsa.attention.chunks import streamed_gram
from elsa.attention.equivariance import equivariance_error
from elsa.attention.linear import elsa, lsa, mask_move
from elsa.attention.roles import with_roles, without_biases

__all__ = [
    "elsa",
    "equivariance_error",
    "gram",
    "lsa",
    "mask_move",
    "streamed_gram",
    "with_roles",
    "without_biases",
]
