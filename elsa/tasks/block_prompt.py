"""A batch of prompts that are matrices by name, asked for a matrix."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float


class BlockPrompt(NamedTuple):
    """What a batch of prompts holds, block by block, and the matrix that is asked for.

    blocks: name -> [batch, height, width].
    target: [batch, height, width].
    """

    blocks: dict[str, Float[Array, "batch _ _"]]
    target: Float[Array, "batch height width"]


@runtime_checkable
class BlockTask(Protocol):
    """What a task offers whose prompts are blocks; it trains as every other.

    prompt_kind: BlockPrompt, what `sample` returns.
    cuts: False, as its rows belong together.
    """

    prompt_kind: ClassVar[type]
    cuts: ClassVar[bool]

    @property
    def dim(self) -> int:
        """The size that its own description names first."""

    @property
    def context_length(self) -> int:
        """The rows of its prompts."""

    @property
    def blocks(self) -> Mapping[str, tuple[int, int]]:
        """Name of each block -> its shape."""

    @property
    def target_shape(self) -> tuple[int, int]:
        """The shape of what is asked for."""

    def sample(self, key: Array, batch: int) -> BlockPrompt:
        """A batch of prompts; equal keys give equal prompts."""
