"""Where the values of a schedule lie: a private prompt in which every value has its own channels.

All values start at row 0, which makes every head of the table exact at once. Inputs and states keep
the places of the input's layout; every other value takes a place that a dead value of its shape
left, or new channels appended on the right. The layer that reads a value last also takes it away:
v - v is exactly zero, so that the next value there keeps its own accuracy, however small it is.
What is written over a living value, as a state is, has the absolute accuracy of the larger one.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from elsa.compiler.planning.chains import Chain, bare
from elsa.compiler.planning.layers import Layer, Schedule
from elsa.prompts.layout import BlockLayout, Box


@dataclasses.dataclass(frozen=True, eq=False)
class Slots:
    """Boxes of a schedule's values.

    boxes: chain -> box in the private prompt.
    names: chain -> a readable name.
    over: for each layer of the schedule, the values it writes over what they were, as states are.
    clears: for each layer of the schedule, the values that it takes away, read for the last time.
    shape: (rows, channels) of the private prompt.
    """

    boxes: Mapping[Chain, Box]
    names: Mapping[Chain, str]
    over: tuple[frozenset[Chain], ...]
    clears: tuple[frozenset[Chain], ...]
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
    lives = _lives(schedule)
    clears: list[set[Chain]] = [set() for _ in schedule.layers]
    for chain, life in lives.items():
        if life.cleared is not None:
            clears[life.cleared].add(chain)
    rows, channel = shape
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
        names[chain] = _name(chain, names)
    rows = max([rows, *(box.height for box in boxes.values())])
    over = tuple(
        frozenset(
            target
            for target in (assign.target for assign in layer)
            if target in inputs or (target in schedule.carried and index > lives[target].start)
        )
        for index, layer in enumerate(schedule.layers)
    )
    return Slots(boxes, names, over, tuple(map(frozenset, clears)), (rows, channel))


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
