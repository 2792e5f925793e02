"""A picture of a stack: its prompt after each layer, and the weights of its layers."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float

from elsa.base.arrays import AnyShape
from elsa.report import style
from elsa.report.panels import LETTER, Axis, Item, Line, Map, Panel, Scale
from elsa.report.pictures import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 4  # rows or columns that are drawn of a block of weights
_RANGE = 1e3  # of the sizes on a logarithmic scale
_TIMES = r"$\times$"  # one letter of a figure
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
    """Draws where the blocks lie, the prompt layer by layer, and the layers' weights.

    The blocks are those of the caller and the values that the stack keeps beside them. Of more than
    4 prompts the input, the last and two evenly between are drawn; the titles say which. Layers
    that repeat are drawn once. Of every head the arrays that are not zero are drawn, below the
    head's formula, and of them the rows and columns of blocks where they are not zero. Where a
    block is longer than 6 rows or channels, 4 in weights, those in its middle are left out. What is
    left out is a hatched strip. Colours are symmetric about zero; where magnitudes differ much the
    scale is logarithmic beyond the inner two ticks of the colour bar, as its label says. Where the
    largest entries of two blocks of the prompt are more than 1,000-fold apart, each block is drawn
    over its own, and all of them are listed. Memory grows with depth times prompt, as every layer's
    prompt is computed.

    Args:
      stack: of a construction or compiled.
      **blocks: the arguments of a call of the stack.

    Returns:
      A figure 85 mm wide. Where it would be higher than 220 mm, its heads are set in several
      columns of that width.

    Raises:
      KeyError, ValueError: as a call of the stack does.
    """
    if not hasattr(stack, "prompts") or not hasattr(stack, "readout"):
        raise TypeError(f"prompt_figure: stack must be a BlockStack, got {type(stack).__name__}")
    prompts = np.asarray(stack.prompts(**blocks), dtype=np.float64)
    rows, channels, boxes = _sides(stack)
    n, m = stack.readout.shape
    chosen = sorted({round(i) for i in np.linspace(0, len(prompts) - 1, PROMPTS)})
    named, key = _named(boxes, channels)
    items: list[Item] = [
        Line(f"Prompt: {n} rows (tokens) down, {m} channels across", bold=True),
        Map(rows, channels, named),
        *(Line(line) for line in key),
    ]
    outlines = [(down, across) for _, down, across in boxes]
    cell = _cell(len(channels.shown), len(chosen))
    largest = [float(np.abs(prompts[chosen][box]).max()) for box in _boxes(outlines)]
    sizes = [size for size in largest if size > 0]
    is_relative = bool(sizes) and max(sizes) > _RANGE * min(sizes)
    for index in chosen:
        title = "input" if index == 0 else f"after layer {index}"
        values = _over(prompts[index], outlines, largest) if is_relative else prompts[index]
        items.append(Panel(title, values, rows, channels, outlines, cell=cell, has_ticks=False))
    if is_relative:
        items.append(Scale("entries of the prompt over the largest of their block", math.inf))
        each = [f"{name} {size:.3g}" for (name, *_), size in zip(boxes, largest, strict=True)]
        items += [Line(line) for line in _lines([f"largest: {each[0]}", *each[1:]], ", ")]
    else:
        items.append(Scale("entries of the prompt", _linear_below(largest, largest)))
    weights = list(_weights(stack, rows, channels))
    drawn = [w for w in weights if isinstance(w, Panel)]
    entries = [np.abs(w.values[w.values != 0]) for w in drawn]
    bend = _linear_below([own.min() for own in entries], [own.max() for own in entries])
    items += [Line(line) for line in _lines(_kinds(drawn), "; ")]
    items += [*weights, Scale("weights", bend)]
    if any(panel.rows.is_cut or panel.columns.is_cut for panel in drawn):
        items.append(Line("hatched: left out, of weights where they are 0"))
    elif rows.is_cut or channels.is_cut:
        items.append(Line("hatched: left out"))
    return draw(items)


def _boxes(outlines: Sequence[tuple[range, range]]) -> list[tuple[Any, ...]]:
    """An index of each block, of one prompt or of several."""
    return [
        np.s_[..., down.start : down.stop, across.start : across.stop] for down, across in outlines
    ]


def _over(
    prompt: Float[np.ndarray, "n m"],
    outlines: Sequence[tuple[range, range]],
    largest: Sequence[float],
) -> Float[np.ndarray, "n m"]:
    """Every block over its largest size: one scale for all would leave small ones white.

    As covariates are beside prices.
    """
    scaled = np.zeros_like(prompt)
    for box, size in zip(_boxes(outlines), largest, strict=True):
        scaled[box] = prompt[box] / (size or 1.0)
    return scaled


def _cell(columns: int, panels: int) -> float:
    """Inches of an entry, so that all prompts are side by side, or two and two of large ones."""
    beside = panels if columns * 0.05 * panels < style.WIDTH - 0.1 * panels else 2
    return min(0.12, (style.WIDTH / beside - 0.11) / columns)


def _kinds(panels: Sequence[Panel]) -> list[str]:
    """Which arrays there are, and what their rows and columns count."""
    found: dict[str, list[str]] = {}
    for panel in sorted(panels, key=lambda panel: list(_ARRAYS).index(panel.title.lower())):
        titles = found.setdefault(rf"{panel.rows.name} {_TIMES} {panel.columns.name}", [])
        titles += [panel.title] * (panel.title not in titles)
    return [f"{', '.join(titles)}: {sides}" for sides, titles in found.items()]


_Boxes = list[tuple[str, range, range]]


def _sides(stack: BlockStack) -> tuple[Axis, Axis, _Boxes]:
    """Both sides of the prompt, cut between blocks, and the blocks.

    Places of the stack's own values come first and have all their names, as several may take turns.
    """
    names: dict[tuple[range, range], list[str]] = {}
    for name, box in getattr(stack, "own_blocks", ()):
        names.setdefault((box.rows, box.channels), []).append(name)
    boxes = {place: ", ".join(dict.fromkeys(each)) for place, each in names.items()}
    for layout in (stack.layout, stack.readout):
        for name, box in layout.blocks.items():
            shown = f"{name}^T" if name in layout.transposed else name
            boxes[box.rows, box.channels] = shown
    n, m = stack.readout.shape
    row_edges = {edge for rows, _ in boxes for edge in (rows.start, rows.stop)}
    channel_edges = {edge for _, channels in boxes for edge in (channels.start, channels.stop)}
    outlines = [(name, rows, channels) for (rows, channels), name in boxes.items()]
    return Axis.of("row", n, row_edges), Axis.of("channel", m, channel_edges), outlines


def _named(boxes: _Boxes, channels: Axis) -> tuple[_Boxes, list[str]]:
    """The blocks with names that fit into the map, letters where one does not, and their list."""
    cell = 0.89 * style.WIDTH / len(channels.shown)
    named: _Boxes = []
    key: list[str] = []
    for name, rows, across in boxes:
        left, right = channels.span(across)
        room = max((right - left) * cell, 0.09 * min(len(rows), 6))
        if LETTER * len(name) > room:
            letter = chr(ord("a") + len(key) % 26)
            key.append(f"{letter}: {name}")
            name = letter
        named.append((name, rows, across))
    return named, _lines(key, ", ")


def _lines(entries: Sequence[str], between: str) -> list[str]:
    """Entries in lines as wide as the page."""
    lines: list[str] = []
    for entry in entries:
        longer = lines[-1] + between + entry if lines else ""
        if lines and LETTER * len(longer.replace(_TIMES, "x")) < style.WIDTH:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines


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
                if values.any():
                    across = channels if name.endswith("v") else Axis.of("key", size, longest=_FEW)
                    down = channels if side == "channel" else rows
                    sides = (_used(down, values.any(1)), _used(across, values.any(0)))
                    yield Panel(name.capitalize(), values, *sides)


def _used(axis: Axis, used: Bool[np.ndarray, " length"]) -> Axis:
    """The axis with the blocks alone in which something is not zero."""
    return Axis.of(axis.name, len(used), axis.starts, _FEW, used)


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


def _linear_below(smallest: Sequence[float], largest: Sequence[float]) -> float:
    """Where a scale turns logarithmic, from the least and the greatest size in each matrix.

    Nowhere if sizes differ less than tenfold. Else at the smallest, but at most three powers of ten
    below the largest, as training leaves traces of any size that would look like weights; and low
    enough for every matrix to have its colours.
    """
    sizes = [float(size) for size in (*smallest, *largest) if size > 0]
    if not sizes or max(sizes) <= 10 * min(sizes):
        return math.inf
    return min(max(min(sizes), max(sizes) / _RANGE), *(float(size) for size in largest if size > 0))
