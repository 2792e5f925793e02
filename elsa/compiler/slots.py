"""Where the values of a schedule lie: a private prompt in which every value has its own channels.

All values start at row 0, which makes every head of the table exact at once. Inputs and states keep
the places of the input's layout; every other value takes a place that no living value of its shape
holds, or new channels appended on the right.
"""

import dataclasses
import itertools
from collections.abc import Mapping

from elsa.compiler.polynomial import Chain, bare
from elsa.compiler.schedule import Layer, Schedule
from elsa.layout import BlockLayout, Box


@dataclasses.dataclass(frozen=True, eq=False)
class Slots:
    """Boxes of a schedule's values.

    boxes: chain -> box in the private prompt.
    names: chain -> a readable name.
    dirty: values whose place holds something when they are written, which a head takes away.
    reused: those whose place held another value before; a prologue takes away nothing but that.
    shape: (rows, channels) of the private prompt.
    """

    boxes: Mapping[Chain, Box]
    names: Mapping[Chain, str]
    dirty: frozenset[Chain]
    reused: frozenset[Chain]
    shape: tuple[int, int]


def allot(schedule: Schedule, inputs: Mapping[Chain, Box], shape: tuple[int, int]) -> Slots:
    """Places for every value of a schedule.

    Args:
      schedule: the layers.
      inputs: the inputs' boxes, each with channels of its own from row 0 on.
      shape: of the prompt that the boxes lie in; rows and channels are appended as needed.
    """
    boxes = dict(inputs)
    names = {chain: chain.factors[0].node.name for chain in inputs}
    dirty, reused = set(schedule.carried) & set(inputs), set()
    rows, channel = shape
    busy: dict[Box, int] = {}  # box -> the layer after which its value is dead
    lives = _lives(schedule)
    for chain, (start, end) in sorted(lives.items(), key=lambda item: item[1][0]):
        if chain in inputs:
            dirty.add(chain)
            continue
        height, width = chain.shape
        free = [b for b, until in busy.items() if until <= start and b[2:] == (height, width)]
        if free:
            box = free[0]
            reused.add(chain)
        else:
            box = Box(0, channel, height, width)
            channel += width
        if chain in schedule.carried or _in_step(schedule, start):
            dirty.add(chain)  # the next round finds this round's value in its place
        boxes[chain], busy[box] = box, end
        names[chain] = _name(chain, names)
    rows = max([rows, *(box.height for box in boxes.values())])
    return Slots(boxes, names, frozenset(dirty | reused), frozenset(reused), (rows, channel))


def _in_step(schedule: Schedule, layer: int) -> bool:
    return 0 <= layer - len(schedule.prologue) < len(schedule.step)


def _lives(schedule: Schedule) -> dict[Chain, tuple[int, int]]:
    """Chain -> (the layer that writes it, the last layer that reads it), the step counted once."""
    first: dict[Chain, int] = {}
    last: dict[Chain, int] = {}
    layers = schedule.layers
    begin, stop = len(schedule.prologue), len(schedule.prologue) + len(schedule.step)
    for index, layer in enumerate(layers):
        for chain in _read(layer):
            last[chain] = index
            if begin <= index < stop and first.get(chain, -1) < begin:
                last[chain] = stop - 1  # read again in the next round
        for assign in layer:
            first.setdefault(assign.target, index)
    return {
        chain: (start, len(layers) if chain in schedule.carried else last.get(chain, len(layers)))
        for chain, start in first.items()
    }


def _read(layer: Layer) -> set[Chain]:
    return {chain for a in layer for product in a.products for chain, _ in product.operands}


def _name(chain: Chain, taken: Mapping[Chain, str]) -> str:
    """`X^T X` where the value is a product of blocks, else `v1`, `v2`, ..."""
    plain = all(const is None for const in chain.consts)
    leaves = all(factor.node.kind == "leaf" for factor in chain.factors)
    if plain and leaves:
        return " ".join(f"{f.node.name}{'^T' if f.flipped else ''}" for f in chain.factors)
    if chain.bare and chain.factors[0].flipped and bare(chain.factors[0].T) in taken:
        return f"{taken[bare(chain.factors[0].T)]}^T"
    used = set(taken.values())
    return next(name for name in (f"v{i}" for i in itertools.count(1)) if name not in used)


def readout(slots: Slots, outputs: Mapping[str, Chain]) -> BlockLayout:
    """Where the outputs lie in the private prompt."""
    return BlockLayout({name: slots.boxes[chain] for name, chain in outputs.items()}, slots.shape)
