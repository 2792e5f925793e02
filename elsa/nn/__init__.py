"""NNX modules from prompt to prompt: thin owners of parameters above the pure functions."""

from elsa.nn.bias_free import without_biases
from elsa.nn.block_stack import BlockStack
from elsa.nn.layers import ELSA, LSA
from elsa.nn.stack import Stack
from elsa.nn.streaming import Streamed

__all__ = ["ELSA", "LSA", "BlockStack", "Stack", "Streamed", "without_biases"]
