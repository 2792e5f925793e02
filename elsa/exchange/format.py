"""A stack from a file, and what goes through the file besides weights."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.nn import BlockStack, Stack
from elsa.prompts.layout import BlockLayout

VERSION = 1  # of the format
KEY = "elsa"  # of the metadata's one entry
PARTS = ("prologue", "step", "epilogue")
LOAD = "load"  # the layer that moves inputs from the caller's places

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """The named blocks of a stack that goes through a file; keys of the metadata's table.

    loads: True where the first layer moves the inputs from the caller's places to the stack's own.
    """

    layout: BlockLayout
    readout: BlockLayout
    inputs: Shapes
    outputs: Shapes
    holds: Mapping[str, str]
    loads: bool = False


class LoadedStack(BlockStack):
    """A stack from a file: `stack(**blocks) -> dict`, the weights on the whole prompt.

    Attributes:
      name: of the step that was compiled, or of the class of the stack that was exported.
      blocks: the named blocks; `blocks.holds` says what lies in a block that holds another value
        than its name says, as in a designed prompt.
      layers: empty, as a file has no symbolic heads.
    """

    def __init__(self, stack: Stack, name: str, blocks: Blocks) -> None:
        super().__init__(stack, blocks.layout, blocks.readout, ())
        self.name, self.blocks = name, blocks

    def __call__(self, /, **blocks: Float[ArrayLike, "..."]) -> dict[str, Array]:
        """The outputs; one task, `jax.vmap` for a batch.

        1-D arrays act as columns and numbers as 1 x 1; an output comes back with as many axes as
        its input had, or as the file says where it is no input.

        Raises:
          KeyError: for a block that is no input. ValueError: for a missing one, a wrong shape, or
          NaN or infinity in a concrete array.
        """
        h = self.run(self.pack(**blocks))
        out = {}
        for name, shape in self.blocks.outputs.items():
            axes = np.ndim(blocks[name]) if name in blocks else len(shape)
            block = self.readout.block(h, name)
            out[name] = block if axes == 2 else block.reshape(block.shape[:axes])
        return out

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, skip heads included."""
        inner = self.stack
        parts = (inner.prologue, 1), (inner.body, inner.depth), (inner.epilogue, 1)
        return sum(layer.wq.shape[-3] * times for layers, times in parts for layer in layers)

    def __str__(self) -> str:
        n, m = self.readout.shape
        shown = [
            f"{self.name}: {self.num_layers} layers, {self.num_heads} heads, prompt {n} x {m}, "
            f"{self.dtype}"
        ]
        for title, shapes in (("takes", self.blocks.inputs), ("returns", self.blocks.outputs)):
            for name, shape in shapes.items():
                held = f", holds {self.blocks.holds[name]}" if name in self.blocks.holds else ""
                shown.append(f"  {title} {name} {shape}{held}")
        return "\n".join(shown)
