"""A stack's prompts as treescope draws them in a notebook: every entry, its block and its value."""

from typing import Any

import numpy as np

from elsa.base.arrays import AnyShape
from elsa.report.prompt import BlockStack

_LARGEST = 200_000  # entries that a notebook draws; of larger prompts the edges


def prompt_view(stack: BlockStack, /, **blocks: AnyShape) -> Any:
    """The prompt before and after every layer, with a slider over the layers.

    Pointing at an entry shows its value and the blocks that its row and its channel belong to.
    Colours are symmetric about zero. It needs treescope, which comes with Flax.

    Args:
      stack: of a construction, compiled, or from a file.
      **blocks: the arguments of a call of the stack.

    Returns:
      A figure of treescope, which a notebook shows where it is the last line of a cell.

    Raises:
      TypeError: for anything but a stack with named blocks.
      KeyError, ValueError: as a call of the stack does.
    """
    if not hasattr(stack, "prompts") or not hasattr(stack, "readout"):
        raise TypeError(f"prompt_view: stack must be a BlockStack, got {type(stack).__name__}")
    import treescope

    prompts = np.asarray(stack.prompts(**blocks), np.float64)
    last = len(prompts) - 1
    after = ["input"] + [f"after layer {index} of {last}" for index in range(1, last + 1)]
    boxes = stack.layout.blocks | stack.readout.blocks
    rows = [(name, box.rows) for name, box in boxes.items()]
    channels = [(name, box.channels) for name, box in boxes.items()]
    n, m = prompts.shape[1:]
    with np.errstate(over="ignore"):  # it draws in float32
        return treescope.render_array(
            prompts,
            sliders=(0,),
            rows=(1,),
            columns=(2,),
            axis_labels={0: "prompt", 1: f"row (token), {n}", 2: f"channel, {m}"},
            axis_item_labels={0: after, 1: _labels(n, rows), 2: _labels(m, channels)},
            around_zero=True,
            truncate=prompts.size > _LARGEST,
            maximum_size=_LARGEST,
        )


def _labels(size: int, spans: list[tuple[str, range]]) -> list[str]:
    """The blocks that lie across each row, or channel."""
    return [
        ", ".join(name for name, span in spans if index in span) or "no block"
        for index in range(size)
    ]
