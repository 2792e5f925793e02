"""Named blocks in torch: looked at, laid into prompts, and read from them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elsa.base import checks
from elsa.prompts.layout import BlockLayout

Shapes = Mapping[str, tuple[int, ...]]


class Given(NamedTuple):
    """A call's blocks.

    values: name -> [batch or 1, rows, columns].
    axes: name -> how many axes the block had, the batch's left out.
    batch: how many tasks; None where no block has an axis for them.
    """

    values: dict[str, Tensor]
    axes: dict[str, int]
    batch: int | None


def given(where: str, blocks: Mapping[str, Any], layout: BlockLayout, like: Tensor) -> Given:
    """The blocks of a call, checked, in the dtype and on the device of `like`.

    Raises:
      KeyError: for an unknown block. TypeError: for anything but real numbers.
      ValueError: for a missing block, a wrong shape, NaN or infinity, or batches that differ.
    """
    checks.names(where, "block", blocks, layout)
    values, axes, sizes = {}, {}, dict[str, int]()
    for name, block in blocks.items():
        value = _tensor(where, name, block).to(like)
        if not torch.isfinite(value).all():
            raise ValueError(f"{where}: {name} must be finite, got NaN or infinity")
        rows, columns = layout.shape_of(name)
        plain = [(rows, columns)] + [(rows,)] * (columns == 1) + [()] * (rows == columns == 1)
        shape = tuple(value.shape)
        if shape not in plain and shape[1:] in plain and shape:
            sizes[name], shape = shape[0], shape[1:]
        if shape not in plain:
            raise ValueError(
                f"{where}: block {name!r} must have shape {(rows, columns)}, or one more axis in "
                f"front, got {tuple(value.shape)}"
            )
        values[name], axes[name] = value.reshape(-1, rows, columns), len(shape)
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{where}: blocks must have batches of one length, got {sizes}")
    return Given(values, axes, next(iter(sizes.values()), None))


def packed(blocks: Given, layout: BlockLayout, shape: tuple[int, int], like: Tensor) -> Tensor:
    """Prompts [batch, n, m] with the blocks where the layout has them, zero elsewhere."""
    batch = 1 if blocks.batch is None else blocks.batch
    whole = like.new_zeros((batch, *shape))
    for name, value in blocks.values.items():
        row, col, height, width = layout.blocks[name]
        stored = value.mT if name in layout.transposed else value
        whole[:, row : row + height, col : col + width] = stored
    return whole


def read(h: Tensor, layout: BlockLayout) -> dict[str, Tensor]:
    """Every block of prompts [..., n, m], by name.

    Raises:
      ValueError: for prompts of another shape.
    """
    if tuple(h.shape[-2:]) != layout.shape:
        raise ValueError(
            f"unpack: the prompt must have shape (..., {layout.shape[0]}, {layout.shape[1]}), got "
            f"{tuple(h.shape)}"
        )
    found = {}
    for name, (row, col, height, width) in layout.blocks.items():
        stored = h[..., row : row + height, col : col + width]
        found[name] = stored.mT if name in layout.transposed else stored
    return found


def shaped(blocks: Mapping[str, Tensor], asked: Given, outputs: Shapes) -> dict[str, Tensor]:
    """The outputs of a call with as many axes as they should have.

    Args:
      blocks: name -> [batch, rows, columns].
      asked: what the call was given; an output that is an input has as many axes.
      outputs: name -> shape of the others.
    """
    found = {}
    for name, shape in outputs.items():
        value = blocks[name] if asked.batch is not None else blocks[name][0]
        axes = asked.axes.get(name, len(shape))
        found[name] = value.reshape(value.shape[: value.ndim - 2 + axes])
    return found


def _tensor(where: str, name: str, block: Any) -> Tensor:
    """A block of real numbers as a tensor.

    Raises:
      TypeError: for anything else.
    """
    if not isinstance(block, Tensor):
        checks.real(where, **{name: block})
        block = torch.tensor(np.asarray(block, np.float64))  # a copy: jax's own is read only
    if block.is_complex():
        raise TypeError(f"{where}: {name} must hold real numbers, got {block.dtype}")
    return block
