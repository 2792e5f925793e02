"""A prompt whose blocks lie where the caller says, held to the sizes of a task."""

from elsa.prompts import PromptFormat, custom_format
from elsa.prompts.named import Boxes


def boxed_format(where: str, boxes: Boxes, context_length: int, dim: int) -> PromptFormat:
    """The format of the caller's boxes.

    Raises:
      ValueError: for boxes of data that have not its shape, or as `custom_format`.
    """
    form = custom_format(boxes)
    placed, n = form.layout(context_length), context_length
    shapes = {"X": (n, dim), "y": (n, 1), "query_x": (1, dim), "prediction": (1, 1)}
    for block, shape in shapes.items():
        if placed.shape_of(block) != shape:
            raise ValueError(
                f"{where}: the box of {block} must be {shape} (height, width) for context_length="
                f"{n} and dim={dim}, got {placed.shape_of(block)}"
            )
    return form
