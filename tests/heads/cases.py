"""The lines of the head table, and the blocks that they are computed on directly."""

import numpy as np

from elsa import BlockLayout, heads

SHAPE = (8, 16)  # of every prompt here, so that jax compiles little


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


M = np.random.default_rng(7).normal(size=(4, 4))  # the constant matrix, cut to size

# Name of the line -> the head, the same from the blocks, shapes of A, B, C, T for sizes a to d,
# and the blocks that must share their rows.
TABLE = {
    "constant": (
        lambda lay, s: heads.constant(lay, "T", s * M[: lay.box("T").height, : lay.box("T").width]),
        lambda A, B, C, T: M[: T.shape[0], : T.shape[1]],
        lambda a, b, c, d: {"T": (a, b)},
        [],
    ),
    "move": (
        lambda lay, s: heads.move(lay, "A", "T", scale=s),
        lambda A, B, C, T: A,
        lambda a, b, c, d: {"A": (a, b), "T": (a, b)},
        [],
    ),
    "transpose": (
        lambda lay, s: heads.transpose(lay, "A", "T", scale=s),
        lambda A, B, C, T: A.T,
        lambda a, b, c, d: {"A": (a, b), "T": (b, a)},
        [],
    ),
    "times_constant": (
        lambda lay, s: heads.times_constant(
            lay, "A", M[: lay.box("A").width, : lay.box("T").width], "T", scale=s
        ),
        lambda A, B, C, T: A @ M[: A.shape[1], : T.shape[1]],
        lambda a, b, c, d: {"A": (a, b), "T": (a, c)},
        [("A", "T")],
    ),
    "transposed_product": (
        lambda lay, s: heads.transposed_product(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A.T @ B,
        lambda a, b, c, d: {"A": (a, b), "B": (a, c), "T": (b, c)},
        [("A", "B")],
    ),
    "product": (
        lambda lay, s: heads.product(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A @ B,
        lambda a, b, c, d: {"A": (a, b), "B": (b, c), "T": (a, c)},
        [("A", "T")],
    ),
    "product_transposed": (
        lambda lay, s: heads.product_transposed(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A @ B.T,
        lambda a, b, c, d: {"A": (a, b), "B": (c, b), "T": (a, c)},
        [("A", "T")],
    ),
    "triple_product": (
        lambda lay, s: heads.triple_product(lay, "A", "B", "C", "T", scale=s),
        lambda A, B, C, T: A @ B.T @ C,
        lambda a, b, c, d: {"A": (a, b), "B": (c, b), "C": (c, d), "T": (a, d)},
        [("A", "T"), ("B", "C")],
    ),
}


def directly(line, layout, h):
    """The head's formula on the blocks, landed in the target."""
    blocks = {name: lying(layout, h, name) if name in layout else None for name in "ABCT"}
    return landed(layout, "T", TABLE[line][1](**blocks))
