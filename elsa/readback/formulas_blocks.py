"""Names for all parts of a prompt that a stack fills: its blocks, and what lies beside them."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import BlockLayout, Box
from elsa.readback.formulas_flow import Flow
from elsa.readback.polynomial import Mask


def named_boxes(stack: BlockStack, flows: Sequence[Flow]) -> dict[str, Box]:
    """Boxes that share no entry and hold every entry that a layer reads or writes.

    The blocks of the layout and of the readout, `X^T` where X is stored transposed, and `given X`
    for an input that the first layer moves to its place; then, layer by layer, what else is
    written: under the name that the stack's own heads have for it, or v1, v2, ...
    """
    boxes: dict[str, Box] = {}
    taken = np.zeros(stack.readout.shape, bool)

    def add(name: str, box: Box) -> None:
        if not _of(taken, box).any() and name not in boxes:
            boxes[name] = box
            _of(taken, box)[...] = True

    for name, box in _stored(stack.layout).items():
        moved = name in stack.readout and stack.readout.box(name) != box
        add(f"given {name}" if moved else name, box)
    for name, box in _stored(stack.readout).items():
        add(name, box)
    known = stack.layers if len(stack.layers) == len(flows) else ((),) * len(flows)
    for flow, heads in zip(flows, known, strict=True):
        written = flow.read | flow.live
        for head in heads:
            name, *rest = head.formula.split(" += ", 1)
            for box in _runs(written & ~taken, head.into):
                if rest and box.channels == head.into:
                    add(name, box)
        for box in _runs(written & ~taken, range(taken.shape[1])):
            add(next(v for i in itertools.count(1) if (v := f"v{i}") not in boxes), box)
    return boxes


def _stored(layout: BlockLayout) -> dict[str, Box]:
    return {
        f"{name}^T" if name in layout.transposed else name: box
        for name, box in layout.blocks.items()
    }


def _of(mask: Mask, box: Box) -> np.ndarray:
    """The part of a mask in a box; what is written there is written to the mask."""
    return mask[box.row : box.rows.stop, box.col : box.channels.stop]


def _runs(mask: Mask, channels: range) -> Iterator[Box]:
    """Boxes that hold the mask's entries in some channels: channels alike and adjacent together."""
    for rows, group in itertools.groupby(
        channels, key=lambda c: tuple(np.flatnonzero(mask[:, c]).tolist())
    ):
        columns = list(group)
        ends = [0, *(np.flatnonzero(np.diff(rows) > 1) + 1).tolist(), len(rows)]
        for first, last in itertools.pairwise(ends):
            if last > first:
                yield Box(rows[first], columns[0], last - first, len(columns))
