"""How fast an error of a step's state grows, and what float32 leaves of a result."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elsa.nn import inside
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_layers import Layer, Program

_ROUNDS = 60  # steps of a tied stack that are watched
_TAIL = 10  # of them, over which the growth is taken


def growth(stack: BlockStack, program: Program, blocks: Mapping[str, Any]) -> float | None:
    """How many times an error of the state is as large after one step that overshoots.

    Two runs from starts that differ tell it, late in the run, three whether the step is affine in
    its state: then the factor 1 - eta mu of the largest size prevails, mu an eigenvalue. One below
    zero overshoots: the error changes its side at every step. None where it does not, and where the
    step is not affine, or has no state.
    """
    state = [name for name in stack.outputs if name in stack.inputs]
    if not state or not program.period:
        return None
    rng = np.random.default_rng(0)
    given = {n: np.asarray(v, np.float64) for n, v in inside.given_blocks(stack, blocks).items()}
    nudge = {name: rng.normal(size=given[name].shape) for name in state}
    rounds = _ROUNDS if program.tied else program.depth
    runs = []
    for times in range(3):
        start = given | {n: given[n] + times * nudge[n] for n in state}
        runs.append(_path(stack, program, start, state, rounds))
    once, twice = runs[1] - runs[0], runs[2] - runs[0]
    sizes = np.linalg.norm(once, axis=1)
    usable = np.isfinite(sizes) & (sizes < 1e100) & (sizes > 1e-9 * sizes[0])
    last = len(sizes) if usable.all() else int(np.argmin(usable))
    if last < 2 or np.linalg.norm(twice[1] - 2.0 * once[1]) > 1e-2 * np.linalg.norm(twice[1]):
        return None
    if float(once[last - 1] @ once[last - 2]) >= 0.0:
        return None
    back = min(_TAIL, last - 1)
    return float((sizes[last - 1] / sizes[last - 1 - back]) ** (1.0 / back))


def rounding(stack: BlockStack, program: Program, blocks: Mapping[str, Any]) -> float:
    """The largest error of an output in the stack's own dtype, over its largest entry."""
    given = inside.given_blocks(stack, blocks)
    prompt = np.asarray(inside.packed_prompt(stack, given), np.float64)
    narrow = _cast(program, stack.dtype)
    with np.errstate(all="ignore"):
        wide_end = _end(program, prompt)
        own_end = _end(narrow, prompt.astype(stack.dtype))
    boxes = [stack.readout.box(name) for name in stack.outputs]
    parts = [
        (h[b.row : b.rows.stop, b.col : b.channels.stop] for h in (wide_end, own_end))
        for b in boxes
    ]
    errors = [float(np.abs(own - wide).max() / np.abs(wide).max()) for wide, own in parts]
    return float(np.max(errors))


def _path(
    stack: BlockStack,
    program: Program,
    blocks: Mapping[str, np.ndarray],
    names: list[str],
    rounds: int,
) -> np.ndarray:
    """Some blocks of the readout in a row, after 0 .. rounds steps."""
    given = inside.given_blocks(stack, blocks)
    prompt = np.asarray(inside.packed_prompt(stack, given), np.float64)
    with np.errstate(all="ignore"):
        seen = program.boundaries(prompt, rounds)
    boxes = [stack.readout.box(name) for name in names]
    return np.array(
        [
            np.concatenate([h[b.row : b.rows.stop, b.col : b.channels.stop].ravel() for b in boxes])
            for h in seen
        ]
    )


def _end(program: Program, h: np.ndarray) -> np.ndarray:
    h = program.after(program.prologue, h)
    for step in range(program.depth):
        h = program.after(program.step(step), h)
    return program.after(program.epilogue, h)


def _cast(program: Program, dtype: np.dtype) -> Program:
    def cast(layer: Layer) -> Layer:
        return Layer(*(array.astype(dtype) for array in layer))

    return Program(
        tuple(map(cast, program.prologue)),
        tuple(tuple(map(cast, step)) for step in program.steps),
        tuple(map(cast, program.epilogue)),
        program.depth,
        program.residual,
    )
