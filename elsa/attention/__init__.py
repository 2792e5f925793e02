"""Pure functions of one prompt: linear self-attention, its extended form, mask and move."""

from elsa.attention import gram
from elsa.attention.linear import elsa, lsa, mask_move

__all__ = ["elsa", "gram", "lsa", "mask_move"]
