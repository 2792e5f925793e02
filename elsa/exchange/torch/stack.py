"""An exported stack as a torch module: pack the prompt, run the layers, read the answer."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from elsa.base import checks
from elsa.exchange.contents import Arrays, Contents, contents
from elsa.exchange.torch import named
from elsa.exchange.torch.hooks import HookedModule, HookPoint
from elsa.exchange.torch.layers import Block
from elsa.prompts.layout import BlockLayout

Parameters = dict[str, nn.Parameter]
_MOST_LAYERS = 10_000  # a block each; a small file may ask for any depth


def load(path: str | os.PathLike[str]) -> "TorchStack":
    """The stack in a file that `elsa.export` wrote, as a torch module on the CPU.

    Weights have the file's dtype, float64 too; `.to(device)` moves them. The file is checked as
    `elsa.load` does, and no code runs from it.

    Raises:
      FileNotFoundError, IsADirectoryError, PermissionError: where there is no file to be read.
      ValueError: for a file that is not an export, is damaged, has a version that is not known,
        lacks or contradicts something; for one of more than 10,000 layers.
    """
    checks.instance("load", str | os.PathLike, "a path", path=path)
    held = contents(Path(path))
    prologue, step, epilogue = held.parts
    num_layers = len(prologue) + held.depth * len(step) + len(epilogue)
    if num_layers > _MOST_LAYERS:
        raise ValueError(
            f"load: {path} runs {num_layers:,} layers, and a torch module has a block for each, at "
            f"most {_MOST_LAYERS:,}; elsa.load runs them in JAX"
        )
    return TorchStack(held)


class TorchStack(HookedModule):
    """A stack of linear-attention layers, called with named blocks or with prompts.

        out = stack(X=X, y=y, w=w)        # {"w": ...}; numbers, lists, NumPy arrays or tensors
        out = stack(X=batch_of_X, ...)    # blocks with one more axis in front; others are shared
        prompt = stack(stack.pack(X=X, y=y, w=w))  # the prompt after the last layer

    Layers are `blocks.0` to `blocks.L-1`, in the order in which they run: tied ones share their
    parameters. At hook points values have a batch axis in front, of length 1 for one task:

        hook_embed                  the packed prompt, [batch, n, m]
        blocks.L.hook_resid_pre     the prompt before layer L; hook_resid_post, after it
        blocks.L.hook_attn_out      what its heads sum to
        blocks.L.attn.hook_q        [batch, n, heads, p]; hook_k, hook_v
        blocks.L.attn.hook_attn_scores  [batch, heads, n, n]; there is no softmax
        blocks.L.attn.hook_result   each head's output, [batch, n, heads, m]

    Attributes:
      layout, readout: where the inputs lie in the caller's prompt, and the blocks in the prompt
        after the last layer; None, and the next three empty, for a stack without named blocks.
      inputs, outputs: name -> shape of what a call takes and returns.
      holds: block -> what it contains, where that is not the value of its name.
      name: of what was exported.
    """

    def __init__(self, held: Contents) -> None:
        super().__init__()
        blocks = held.blocks
        self.name = held.name
        self.layout: BlockLayout | None = blocks.get("layout")
        self.readout: BlockLayout | None = blocks.get("readout")
        self.inputs: dict[str, tuple[int, ...]] = dict(blocks.get("inputs", {}))
        self.outputs: dict[str, tuple[int, ...]] = dict(blocks.get("outputs", {}))
        self.holds: dict[str, str] = dict(blocks.get("holds", {}))
        self.hook_embed = HookPoint()
        layers = _running(held)
        self.blocks = nn.ModuleList(Block(one, adds=held.skip == "residual") for one in layers)
        # goes where the weights go, and is there without layers, too
        empty = _tensor(np.zeros(0, held.dtype))
        self.register_buffer("_like", empty, persistent=False)
        self.name_hook_points()

    @property
    def num_layers(self) -> int:
        """Layers that run."""
        return len(self.blocks)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of what is computed."""
        return self._like.dtype

    def forward(
        self, prompt: Float[Tensor, "*batch n m"] | None = None, /, *others: Any, **blocks: Any
    ) -> Tensor | dict[str, Tensor]:
        """The outputs for named blocks; for a prompt, or a batch of them, the prompt after.

        1-D arrays act as columns and numbers as 1 x 1; an output has as many axes as its input, or
        as `outputs` says, and a batch axis in front where any block has one.

        Raises:
          KeyError: for a block that is not an input.
          TypeError: for blocks beside a prompt or without their names, or for a stack without named
            blocks; for anything but real numbers.
          ValueError: for missing blocks, a wrong shape, NaN or infinity; for a prompt of another
            shape.
        """
        if others:
            inputs = ", ".join(f"{name}=.." for name in self.inputs)
            raise TypeError(
                f"{self.name}: blocks must be given by name, as ({inputs}), got {1 + len(others)} "
                "without; a prompt stands alone"
            )
        if prompt is not None:
            if blocks:
                raise TypeError(f"{self.name}: give a prompt or blocks, got both: {list(blocks)}")
            return self._run_prompt(prompt)
        layout, readout = self._layouts()
        asked = named.given(self.name, blocks, layout, self._like)
        h = self._run(named.packed(asked, layout, readout.shape, self._like))
        return named.shaped(named.read(h, readout), asked, self.outputs)

    def pack(self, /, **blocks: Any) -> Float[Tensor, "*batch n m"]:
        """The prompt that a call with these blocks runs on; errors as for a call."""
        layout, readout = self._layouts()
        asked = named.given(self.name, blocks, layout, self._like)
        h = named.packed(asked, layout, readout.shape, self._like)
        return h[0] if asked.batch is None else h

    def unpack(self, h: Float[Tensor, "*batch n m"]) -> dict[str, Float[Tensor, "*batch a b"]]:
        """The readout's blocks of a prompt, such as the hidden states in a cache.

        Raises:
          TypeError: for a stack without named blocks. ValueError: for a prompt of another shape.
        """
        return named.read(h, self._layouts()[1])

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.num_layers} layers, {str(self.dtype).removeprefix('torch.')}"]
        for title, shapes in (("takes", self.inputs), ("returns", self.outputs)):
            for name, shape in shapes.items():
                held = f", holds {self.holds[name]}" if name in self.holds else ""
                lines.append(f"  {title} {name} {shape}{held}")
        return "\n".join(lines)

    def _layouts(self) -> tuple[BlockLayout, BlockLayout]:
        if self.layout is None or self.readout is None:
            raise TypeError(f"{self.name} has no named blocks: call it with a prompt [n, m]")
        return self.layout, self.readout

    def _run_prompt(self, prompt: Tensor) -> Tensor:
        checks.instance(self.name, Tensor, "a tensor", prompt=prompt)
        if prompt.ndim not in (2, 3) or (
            self.readout is not None and tuple(prompt.shape[-2:]) != self.readout.shape
        ):
            n, m = self.readout.shape if self.readout is not None else ("n", "m")
            raise ValueError(
                f"{self.name}: the prompt must have shape ({n}, {m}) or (batch, {n}, {m}), got "
                f"{tuple(prompt.shape)}"
            )
        if prompt.dtype != self.dtype:
            raise TypeError(
                f"{self.name}: the prompt must have the weights' dtype {self.dtype}, got "
                f"{prompt.dtype}"
            )
        return self._run(prompt) if prompt.ndim == 3 else self._run(prompt[None])[0]

    def _run(self, h: Tensor) -> Tensor:
        h = self.hook_embed(h)
        for block in self.blocks:
            h = block(h)
        return h


def _running(held: Contents) -> Iterator[Parameters]:
    """The parameters of each layer that runs, the same ones where weights are tied."""
    prologue, step, epilogue = held.parts
    yield from map(_parameters, prologue)
    tied = [_parameters(layer) for layer in step] if held.tied and held.depth else []
    for t in range(held.depth):
        yield from tied or (_parameters({n: a[t] for n, a in layer.items()}) for layer in step)
    yield from map(_parameters, epilogue)


def _parameters(arrays: Arrays) -> Parameters:
    return {name: nn.Parameter(_tensor(array)) for name, array in arrays.items()}


def _tensor(array: np.ndarray) -> Tensor:
    """A copy of an array; NumPy itself has no bfloat16, of which torch takes the bits."""
    if array.dtype.name == "bfloat16":
        return torch.tensor(array.view(np.int16)).view(torch.bfloat16)
    return torch.tensor(array)
