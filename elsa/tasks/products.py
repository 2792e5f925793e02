"""Products of random matrices, which are blocks of the prompt."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from elsa.base import checks
from elsa.base.precision import exact
from elsa.tasks import fields
from elsa.tasks.block_prompt import BlockPrompt
from elsa.tasks.registration import task

_NAMES = "ABCDEFGH"
ROWS = "rows"  # the block I_k


@task(static=("dim", "factors", "row_channels"))
@dataclasses.dataclass(frozen=True)
class Products:
    """The product A B, A B C, .. of k x k matrices whose entries are N(0, 1/k), independent.

    E|A B ..|^2 = k for any number of factors.

    Attributes:
      dim: k.
      factors: how many, 2 to 8; the blocks are called A, B, ..
      row_channels: whether the prompt also has the block `rows` = I_k, which tells a layer without
        biases which row is which.
    """

    dim: int
    factors: int = 2
    row_channels: bool = False

    cuts: ClassVar[bool] = False
    prompt_kind: ClassVar[type] = BlockPrompt

    def __post_init__(self) -> None:
        where = "Products"
        checks.size(where, dim=(self.dim, 1), factors=(self.factors, 2))
        checks.boolean(where, row_channels=self.row_channels)
        if self.factors > len(_NAMES):
            raise ValueError(f"{where}: factors must be at most {len(_NAMES)}, got {self.factors}")

    @property
    def context_length(self) -> int:
        """k, the rows of the prompt."""
        return self.dim

    @property
    def blocks(self) -> dict[str, tuple[int, int]]:
        """Name of each block -> its shape."""
        names = [*_NAMES[: self.factors], *([ROWS] if self.row_channels else [])]
        return dict.fromkeys(names, self.target_shape)

    @property
    def target_shape(self) -> tuple[int, int]:
        """The shape of the product."""
        return (self.dim, self.dim)

    @exact
    def sample(self, key: Array, batch: int) -> BlockPrompt:
        """A batch of prompts, each with matrices of its own."""
        fields.draw(self, key, batch)
        k = self.dim
        drawn_FxBxKxK = jax.random.normal(key, (self.factors, batch, k, k)) / k**0.5
        blocks = dict(zip(_NAMES, drawn_FxBxKxK, strict=False))
        target_BxKxK = functools.reduce(jnp.matmul, blocks.values())
        if self.row_channels:
            blocks[ROWS] = jnp.broadcast_to(jnp.eye(k, dtype=target_BxKxK.dtype), (batch, k, k))
        return BlockPrompt(blocks, target_BxKxK)
