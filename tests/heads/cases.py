"""The lines of the head table on any layout, and the blocks that they are computed on directly."""

import numpy as np

from elsa import BlockLayout
from elsa.heads.table import PRIMITIVES

SHAPE = (8, 16)  # of every prompt here, so that jax compiles little
M = np.random.default_rng(7).normal(size=(4, 4))  # the constant matrix, cut to size
# Without mask_move, which is no head, and skip, which fills the prompt.
LINES = [name for name, line in PRIMITIVES.items() if line.line is not None and line.result]


def own_channels(rng, shapes, same_rows=()):
    """Every block in channels of its own, in random order, from a random row on.

    Blocks named together in `same_rows` start in one row.
    """
    starts = {name: int(rng.integers(0, SHAPE[0] - h + 1)) for name, (h, _) in shapes.items()}
    for first, *others in same_rows:
        starts |= dict.fromkeys(others, starts[first])
    spare, boxes, channel = SHAPE[1] - sum(w for _, w in shapes.values()), {}, 0
    for name in rng.permutation(list(shapes)):
        gap = int(rng.integers(0, spare + 1))
        spare, (height, width) = spare - gap, shapes[name]
        boxes[str(name)] = (starts[name], channel + gap, height, width)
        channel += gap + width
    return BlockLayout(boxes, SHAPE)


def drawn_layout(rng, name, n, d, k):
    """Places for the blocks of a line."""
    line = PRIMITIVES[name]
    return own_channels(rng, line.shapes({"n": n, "d": d, "k": k}), line.together)


def filled(rng, layout):
    """A prompt with random blocks, zero elsewhere."""
    return np.asarray(layout.pack(**{n: rng.normal(size=layout.shape_of(n)) for n in layout}))


def landed(layout, target, value):
    """The prompt that holds `value` in the place of the target, zero elsewhere."""
    out, box = np.zeros(layout.shape), layout.box(target)
    out[box.row : box.row + box.height, box.col : box.col + box.width] = value
    return out


def lying(layout, h, name):
    """The block as it lies in the prompt."""
    box = layout.box(name)
    return h[box.row : box.row + box.height, box.col : box.col + box.width]


def constant_of(layout, name):
    """The constant C, or M of A M."""
    rows = layout.box("A").width if "A" in PRIMITIVES[name].blocks else layout.box("result").height
    return M[:rows, : layout.box("result").width]


def head_of(name, layout, scale=1.0):
    """The head of a line; a constant is scaled by hand."""
    line = PRIMITIVES[name]
    held = constant_of(layout, name) if line.constant else np.zeros((0, 0))
    return line.head(layout, held if line.scaled else scale * held, scale)


def directly(name, layout, h):
    """The line's formula on the blocks, landed in the result."""
    line = PRIMITIVES[name]
    given = {block: lying(layout, h, block) for block in line.blocks}
    given |= {"constant": constant_of(layout, name)} if line.constant else {}
    return landed(layout, "result", line.direct(**given))
