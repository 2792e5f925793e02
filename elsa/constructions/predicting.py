"""The stack between a context with its query and the prediction."""

from jax.typing import DTypeLike

from elsa.heads.head import Head
from elsa.nn.block_stack import BlockStack, Reference
from elsa.nn.layers import ELSA, LSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout


def predicting(
    where: str,
    layer: list[Head],
    placed: BlockLayout,
    reference: Reference,
    dtype: DTypeLike | None,
    *,
    depth: int = 1,
) -> BlockStack:
    """The tied stack of such layers that takes X, y and query_x and returns the prediction.

    Args:
      where: the construction; the stack's name.
      layer: heads of one layer; it is LSA where none has a bias, else ELSA.
      placed: where all four blocks lie.
      reference: what the stack computes, in plain jax.
      dtype: to compute in; jax's default floating dtype where None.
      depth: layers.
    """
    inputs = {name: placed.shape_of(name) for name in ("X", "y", "query_x")}
    kind = ELSA if any(head.has_bias for head in layer) else LSA
    return BlockStack(
        Stack([kind.from_heads(layer, placed.shape, dtype=dtype)], depth),
        BlockLayout({name: placed.box(name) for name in inputs}, placed.shape),
        placed,
        [layer],
        inputs=inputs,
        outputs={"prediction": (1, 1)},
        name=where,
        reference=reference,
    )
