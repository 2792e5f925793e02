"""NNX modules: thin owners of parameters and batching above the pure functions."""

from elsa.nn.attention import ELSA, LSA
from elsa.nn.block_stack import BlockStack
from elsa.nn.stack import Stack

__all__ = ["ELSA", "LSA", "BlockStack", "Stack"]
