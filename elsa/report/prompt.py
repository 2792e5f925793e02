"""A picture of a stack: its prompt after each layer, and the weights of its layers."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float

from elsa.base.arrays import AnyShape
from elsa.report.panels import Axis, Item, Line, Panel, Scale, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROMPTS = 4  # drawn of a deep stack: the input, two on the way, the last


@runtime_checkable
class BlockStack(Protocol):
    """The attributes used of a stack with named blocks (see `elsa.nn.BlockStack`)."""

    stack: Any
    layout: Any
    readout: Any

    @property
    def layers(self) -> Sequence[Any]: ...

    @property
    def weights(self) -> Sequence[Any]: ...

    def prompts(self, /, **blocks: AnyShape) -> Float[Array, "layers n m"]: ...


def prompt_figure(stack: BlockStack, /, **blocks: AnyShape) -> "Figure":
    """Draws the prompt layer by layer, its blocks outlined and named, and the layers' weights.

    Of more than 4 prompts the input, the last and two evenly between are drawn; the titles say
    which. Layers that repeat are drawn once. Of every head the arrays that are not zero are drawn,
    below the head's formula. Where a block is longer than 6 rows or channels, those in its middle
    are left out, as a hatched strip. Colours are symmetric about zero; where magnitudes differ much
    the scale is logarithmic beyond the inner two ticks of the colour bar. Memory grows with depth
    times prompt, as every layer's prompt is computed.

    Args:
      stack: of a construction or compiled.
      **blocks: the arguments of a call of the stack.

    Returns:
      A figure 85 mm wide, as high as it needs to be.

    Raises:
      KeyError, ValueError: as a call of the stack does.
    """
    if not hasattr(stack, "prompts") or not hasattr(stack, "readout"):
        raise TypeError(f"prompt_figure: stack must be a BlockStack, got {type(stack).__name__}")
    prompts = np.asarray(stack.prompts(**blocks), dtype=np.float64)
    rows, channels, outlines = _sides(stack)
    n, m = stack.readout.shape
    chosen = sorted({round(i) for i in np.linspace(0, len(prompts) - 1, PROMPTS)})
    items: list[Item] = [Line(f"Prompt: {n} rows (tokens), {m} channels", bold=True)]
    for index in chosen:
        title = "input" if index == 0 else f"after layer {index}"
        items.append(Panel(title, prompts[index], rows, channels, outlines))
    largest = [
        np.abs(prompts[chosen][:, down.start : down.stop, across.start : across.stop]).max()
        for _, down, across in outlines
    ]
    items.append(Scale("entries of the prompt", _linear_below(largest)))
    weights = list(_weights(stack, rows, channels))
    sizes = [np.abs(w.values[w.values != 0]).min() for w in weights if isinstance(w, Panel)]
    items += [*weights, Scale("weights", _linear_below(sizes))]
    panels = [item for item in items if isinstance(item, Panel)]
    if any(panel.rows.is_cut or panel.columns.is_cut for panel in panels):
        items.append(Line("hatched: rows and channels left out"))
    return draw(items, cell=min(max(0.8 / len(channels.shown), 0.08), 0.13))


def _sides(stack: BlockStack) -> tuple[Axis, Axis, list[tuple[str, range, range]]]:
    """Both sides of the prompt, cut between blocks, and the blocks: the stack's, the caller's."""
    boxes = {
        (box.rows, box.channels): f"{name}^T" if name in layout.transposed else name
        for layout in (stack.layout, stack.readout)
        for name, box in layout.blocks.items()
    }
    outlines = [(name, rows, channels) for (rows, channels), name in boxes.items()]
    n, m = stack.readout.shape
    row_edges = {edge for rows, _ in boxes for edge in (rows.start, rows.stop)}
    channel_edges = {edge for _, channels in boxes for edge in (channels.start, channels.stop)}
    return Axis.of("row", n, row_edges), Axis.of("channel", m, channel_edges), outlines


def _weights(stack: BlockStack, rows: Axis, channels: Axis) -> Iterator[Item]:
    """Every distinct layer's heads: a formula and the arrays that are not zero."""
    before, body = len(stack.stack.prologue), len(stack.stack.body)
    for place, (layer, heads) in enumerate(zip(stack.weights, stack.layers, strict=True)):
        yield Line(_which(place, before, body, stack.stack.depth), bold=True)
        untied = np.ndim(layer.wq) == 4
        for number in range(layer.wq.shape[-3]):
            head = heads[number] if number < len(heads) else None
            formula = head.formula if head else "H += H, the skip"
            yield Line(f"head {number + 1}: {formula}" + ", step 1" * untied)
            size = head.key_size if head else layer.wq.shape[-1]
            for name, side in _ARRAYS.items():
                array = np.asarray(getattr(layer, name))
                values = (array[0] if untied else array)[number].astype(np.float64)
                columns = channels if name.endswith("v") else Axis.of("key", size)
                if values.any():
                    down = channels if side == "channel" else rows
                    yield Panel(name.capitalize(), values, down, columns)


# Weights and biases in the order of the formula -> what their rows are.
_ARRAYS = {"wq": "channel", "bq": "row", "wk": "channel", "bk": "row", "wv": "channel", "bv": "row"}


def _which(place: int, before: int, body: int, depth: int) -> str:
    """Which of the layers that run have these weights."""
    if place < before:
        return f"Layer {place + 1}"
    first = place + 1
    if place < before + body:
        if depth < 2:
            return f"Layer {first}" if depth else "A layer that depth 0 leaves out"
        last = first + (depth - 1) * body
        every = "" if body == 1 else ", every other one" if body == 2 else f", every {body}th"
        return f"Layers {first} to {last}{every}"
    return f"Layer {first + (depth - 1) * body}"


def _linear_below(sizes: Sequence[float]) -> float:
    """Where a scale turns logarithmic: at the smallest of the sizes if they differ tenfold."""
    positive = [float(size) for size in sizes if size > 0]
    if not positive or max(positive) <= 10 * min(positive):
        return math.inf
    return min(positive)
