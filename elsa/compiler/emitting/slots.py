"""Where the values of a schedule lie: a private prompt in which every value has its own channels.

All values start at row 0, which makes every head of the table exact at once. Inputs and states keep
the places of the input's layout; every other value takes a place that a dead value of its shape
left, or new channels appended on the right. The layer that reads a value last also takes it away:
v - v is exactly zero, so that the next value there keeps its own accuracy, however small it is.
What is written over a living value, as a state is, has the absolute accuracy of the larger one.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Layer, Plan, Schedule
from elsa.compiler.tracing.graph import Node
from elsa.prompts.layout import BlockLayout, Box

Moves = tuple[tuple[str, Box, Box, bool], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Placed:
    """Boxes of a schedule's values.

    boxes: chain -> box in the private prompt.
    names: chain, or constant -> a readable name.
    over: for each layer of the schedule, the values it writes over what they were, as states are.
    clears: for each layer of the schedule, the values that it takes away, read for the last time.
    shape: (rows, channels) of the private prompt.
    layout: where the inputs lie in the caller's prompt.
    moves: what the load layer moves: name, the caller's box, the private box, stored transposed.
    """

    boxes: Mapping[Chain, Box]
    names: Mapping[Chain | Node, str]
    over: tuple[frozenset[Chain], ...]
    clears: tuple[frozenset[Chain], ...]
    shape: tuple[int, int]
    layout: BlockLayout
    moves: Moves

    def __str__(self) -> str:
        """A line for each value: its rows and channels, and where an input comes from."""
        origins = {place: f", from {_span(box)}" for _, box, place, _ in self.moves}
        return "\n".join(
            ["prompt {} x {}".format(*self.shape)]
            + [f"  {self.names[c]}: {_span(b)}{origins.get(b, '')}" for c, b in self.boxes.items()]
        )


def _span(box: Box) -> str:
    rows, channels = box.rows, box.channels
    return f"rows {rows.start}:{rows.stop}, channels {channels.start}:{channels.stop}"


def placed(plan: Plan, layout: BlockLayout | None) -> Placed:
    """Places for every value of a plan.

    Args:
      layout: where the inputs lie in the caller's prompt, from where they are moved; None where
        they have channels of their own from row 0 on.

    Raises:
      TypeError, ValueError: for anything but a layout of the same blocks.
    """
    if layout is not None and not isinstance(layout, BlockLayout):
        raise TypeError(f"compile: layout must be a BlockLayout, got {type(layout).__name__}")
    sizes = {name: chain.shape for name, chain in plan.inputs.items()}
    private, channel = {}, 0 if layout is None else layout.shape[1]
    for name, (height, width) in sizes.items():
        private[name] = Box(0, channel, height, width)
        channel += width
    input_layout = BlockLayout(private) if layout is None else layout
    shapes = {name: input_layout.shape_of(name) for name in input_layout}
    if shapes != sizes:
        raise ValueError(f"compile: layout must have the blocks {sizes}, got {shapes}")
    moved = private if layout is not None else {}
    moves = tuple(
        (n, input_layout.box(n), box, n in input_layout.transposed) for n, box in moved.items()
    )

    schedule, lives = plan.schedule, _lives(plan.schedule)
    inputs = {plan.inputs[name]: box for name, box in private.items()}
    boxes, clears, channels = _allotted(schedule, lives, inputs, channel)
    over = tuple(
        frozenset(
            target
            for target in (assign.target for assign in layer)
            if target in inputs or (target in schedule.carried and index > lives[target].start)
        )
        for index, layer in enumerate(schedule.layers)
    )
    rows = max([input_layout.shape[0], *(box.height for box in boxes.values())])
    return Placed(boxes, plan.names, over, clears, (rows, channels), input_layout, moves)


def _allotted(
    schedule: Schedule, lives: Mapping[Chain, "_Life"], inputs: Mapping[Chain, Box], channel: int
) -> tuple[dict[Chain, Box], tuple[frozenset[Chain], ...], int]:
    """Boxes of all values, those that each layer takes away, and the first channel left free."""
    boxes = dict(inputs)
    clears: list[set[Chain]] = [set() for _ in schedule.layers]
    for chain, life in lives.items():
        if life.cleared is not None:
            clears[life.cleared].add(chain)
    holders: dict[Box, Chain] = {}  # box -> the last value in it
    for chain, life in sorted(lives.items(), key=lambda item: item[1].start):
        if chain in inputs:
            continue
        height, width = chain.shape
        left = [b for b, c in holders.items() if lives[c].end < life.start and b[2:] == chain.shape]
        if left:
            box = left[0]
            clears[int(lives[holders[box]].end)].add(holders[box])
        else:
            box = Box(0, channel, height, width)
            channel += width
        boxes[chain], holders[box] = box, chain
    return boxes, tuple(map(frozenset, clears)), channel


class _Life(NamedTuple):
    """Layers of a value, the step counted once.

    start: the first that writes it.
    end: the last that reads it; infinite for what stays.
    cleared: the layer of the step that reads it last, for values that every round writes anew.
    """

    start: int
    end: float
    cleared: int | None


def _lives(schedule: Schedule) -> dict[Chain, _Life]:
    layers = schedule.layers
    step = range(len(schedule.prologue), len(schedule.prologue) + len(schedule.step))
    written: dict[Chain, list[int]] = {}
    read: dict[Chain, list[int]] = {}
    for index, layer in enumerate(layers):
        for assign in layer:
            written.setdefault(assign.target, []).append(index)
        for chain in _read(layer):
            read.setdefault(chain, []).append(index)
    lives = {}
    for chain, writes in written.items():
        reads = read.get(chain, [])
        within = [index for index in reads if index in step]
        if chain in schedule.carried or not reads:
            lives[chain] = _Life(writes[0], math.inf, None)
        elif any(index in step for index in writes):
            cleared = max(within) if schedule.depth > 1 else None  # before the next round
            lives[chain] = _Life(writes[0], max(reads), cleared)
        else:  # what every round reads stays for the next
            lives[chain] = _Life(writes[0], math.inf if within else max(reads), None)
    return lives


def _read(layer: Layer) -> set[Chain]:
    return {chain for a in layer for product in a.products for chain, _ in product.operands}


def readout(placed: Placed, outputs: Mapping[str, Chain]) -> BlockLayout:
    """Where the outputs lie in the private prompt."""
    return BlockLayout({name: placed.boxes[chain] for name, chain in outputs.items()}, placed.shape)
