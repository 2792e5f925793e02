"""A stack between named blocks: pack the prompt, run the layers, read the answer."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.heads.head import Head, HeadWeights
from elsa.nn.stack import Observer, Stack
from elsa.prompts.layout import BlockLayout


@dataclasses.dataclass(frozen=True)
class ReadBlocks:
    """An observer that keeps some blocks of every prompt; equal ones share one compiled program."""

    layout: BlockLayout
    names: tuple[str, ...]

    def __call__(self, h: Array) -> dict[str, Array]:
        return {name: self.layout.block(h, name) for name in self.names}


def whole_prompt(h: Array) -> Array:
    """An observer that keeps every prompt."""
    return h


@functools.partial(jax.jit, static_argnames=("graph", "observe"))
def _run(graph: Any, state: Any, h: Array, observe: Observer | None) -> Any:
    return nnx.merge(graph, state)(h, observe=observe)


class BlockStack(nnx.Module):
    """A `Stack` with names: `layout` for what goes in, `readout` for what comes out.

    The stack's own prompt may have more rows and channels than the caller's; they are appended as
    zeros. One task at a time; `jax.vmap` runs a batch.

    Attributes:
      stack: the layers.
      layout: where the input's blocks lie in the caller's prompt.
      readout: where the blocks lie in the prompt after the last layer.
      layers: the symbolic heads, a tuple for each layer of `weights`.
      holds: block -> what lies in it, where that is not the value of its name.
    """

    holds: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        stack: Stack,
        layout: BlockLayout,
        readout: BlockLayout,
        layers: Sequence[Sequence[Head]],
    ) -> None:
        self.stack = stack
        self.layout, self.readout = layout, readout
        self.layers = nnx.static(tuple(tuple(heads) for heads in layers))

    @property
    def num_layers(self) -> int:
        """Layers that run."""
        return self.stack.num_layers

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, a skip head included."""
        counts = [len(heads) + (self.stack.skip == "head") for heads in self.layers]
        first, last = len(self.stack.prologue), len(counts) - len(self.stack.epilogue)
        return sum(counts) + (self.stack.depth - 1) * sum(counts[first:last])

    @property
    def weights(self) -> tuple[HeadWeights, ...]:
        """Dense weights, six arrays a layer: prologue, one body, epilogue."""
        return self.stack.weights

    @property
    def outputs(self) -> tuple[str, ...]:
        """The blocks of the readout that are the answer."""
        return tuple(self.readout)

    @property
    def dtype(self) -> np.dtype:
        """The dtype that the layers compute in."""
        return np.dtype(self.stack.body[0].wq.dtype)

    def pack(self, /, **blocks: Float[ArrayLike, "_a _b"]) -> Float[Array, "n m"]:
        """The stack's prompt: the caller's, in the stack's dtype, rows and channels appended.

        Raises:
          KeyError, ValueError: as `BlockLayout.pack`, and for numbers beyond the stack's dtype.
        """
        checks.in_range("pack", self.dtype, **blocks)
        return self.padded(self.layout.pack(**blocks))

    def padded(self, h: Float[Array, "n m"]) -> Float[Array, "_n _m"]:
        """The caller's prompt in the stack's dtype, rows and channels appended as zeros."""
        (n, m), (rows, channels) = h.shape, self.readout.shape
        return jnp.pad(h.astype(self.dtype), ((0, rows - n), (0, channels - m)))

    def run(self, h: Float[Array, "n m"], observe: Observer | None = None) -> Any:
        """The layers on a packed prompt, compiled once for each shape, depth and observer."""
        graph, state = nnx.split(self.stack)
        return _run(graph, state, h, observe)

    def prompts(self, /, **blocks: Float[ArrayLike, "_a _b"]) -> Float[Array, "layers n m"]:
        """Every layer's prompt, the input first: [num_layers + 1, n, m]."""
        return self.run(self.pack(**blocks), whole_prompt)[1]
