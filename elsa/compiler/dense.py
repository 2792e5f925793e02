"""The dense weights of a compiled step, as a stack of layers."""

from collections.abc import Sequence

import numpy as np

from elsa.compiler.emitting.program import Program
from elsa.heads.head import Head, HeadWeights, Term, num_parameters, stack_dense
from elsa.nn.layers import ELSA
from elsa.nn.stack import Stack

MAX_BYTES = 256e6  # of dense weights that are made without being asked for

_NOTHING = (Term("channels", range(1), np.zeros((1, 1))),)
IDLE = Head("nothing", _NOTHING, _NOTHING, _NOTHING, range(1))


def stored(program: Program) -> list[tuple[Head, ...]]:
    """The heads whose dense weights are kept, an idle one where there are no steps."""
    layers = program.layers
    return list(layers if program.schedule.step else (*layers, (IDLE,)))


def num_bytes(program: Program, dtype: np.dtype) -> int:
    """Of the dense weights; counted without making them."""
    rows, channels = program.slots.shape
    least = (rows + channels) * channels * dtype.itemsize  # one head's values
    if least > MAX_BYTES:
        return least
    layers = stored(program)
    return dtype.itemsize * sum(num_parameters(heads, program.slots.shape) for heads in layers)


def dense(program: Program, dtype: np.dtype) -> Stack:
    """Load layer and prologue, the step's layers `depth` times, the epilogue."""
    shape, layers = program.slots.shape, program.layers
    first, last = program.parts
    end, period = len(layers) - last, len(program.schedule.step)

    def emit(heads: Sequence[Head]) -> ELSA:
        return ELSA.from_heads(heads, shape, dtype=dtype)

    def step(place: int) -> ELSA:
        own = layers[first + place : end : period]
        if program.variants == 1:
            return emit(own[0])
        weights = [stack_dense(heads, shape) for heads in own]
        stacked = HeadWeights(*(np.stack(arrays) for arrays in zip(*weights, strict=True)))
        return ELSA.from_weights(stacked, dtype=dtype)

    body = [step(place) for place in range(period)]
    return Stack(
        body or [emit((IDLE,))],
        program.schedule.depth if body else 0,
        tied=program.variants == 1 or not body,
        prologue=[emit(heads) for heads in layers[:first]],
        epilogue=[emit(heads) for heads in layers[end:]],
        skip=program.skip,
    )


def placeholder(dtype: np.dtype) -> Stack:
    """What stands for weights that are too large: it shows whether the stack is traced."""
    return Stack([ELSA.from_heads((IDLE,), (1, 1), dtype=dtype)], 0)
