"""Changes of a prompt that its stack does not know of: blocks moved, transposed, or overwritten.

Rearrangements give another layout for the same blocks; edits change entries of a packed prompt.
"""

from collections.abc import Callable, Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elsa.base import checks
from elsa.prompts.layout import BlockLayout, Box


def moved(
    layout: BlockLayout, names: Iterable[str], *, rows: int = 0, channels: int = 0
) -> BlockLayout:
    """The named blocks shifted together; all others stay.

    Raises:
      KeyError: for an unknown block. ValueError: where a block leaves the prompt or meets another.
    """
    checks.instance("moved", BlockLayout, "a BlockLayout", layout=layout)
    for axis, by in {"rows": rows, "channels": channels}.items():
        if isinstance(by, bool) or not isinstance(by, int | np.integer):
            raise TypeError(f"moved: {axis} must be an integer, got {by!r}")
    checks.instance("moved", Iterable, "names of blocks", names=names)
    shifted = {
        name: layout.box(name)._replace(
            row=layout.box(name).row + rows, col=layout.box(name).col + channels
        )
        for name in names
    }
    try:
        return _replaced(layout, shifted)
    except ValueError as error:
        raise ValueError(f"moved: by rows={rows} and channels={channels}: {error}") from error


def mirrored(layout: BlockLayout) -> BlockLayout:
    """The order of the blocks along the channels reversed, each block itself as it was.

    Blocks that share channels stay together.
    """
    checks.instance("mirrored", BlockLayout, "a BlockLayout", layout=layout)
    return _replaced(
        layout,
        {
            name: box._replace(col=layout.shape[1] - box.col - box.width)
            for name, box in layout.blocks.items()
        },
    )


def exchanged(layout: BlockLayout, first: str, second: str) -> BlockLayout:
    """The second block where the first began, and the first right behind it; rows stay.

    Raises:
      KeyError: for an unknown block. ValueError: where one of them meets another block.
    """
    checks.instance("exchanged", BlockLayout, "a BlockLayout", layout=layout)
    left, right = layout.box(first), layout.box(second)
    if right.col < left.col:
        raise ValueError(
            f"exchanged: block {first!r} must lie left of {second!r}, got channels {left.col} "
            f"and {right.col}"
        )
    return _replaced(
        layout,
        {
            second: right._replace(col=left.col),
            first: left._replace(col=left.col + right.width),
        },
    )


def turned(layout: BlockLayout, name: str) -> BlockLayout:
    """One block stored transposed, from the same corner on.

    Raises:
      KeyError: for an unknown block. ValueError: where it then leaves the prompt or meets another.
    """
    checks.instance("turned", BlockLayout, "a BlockLayout", layout=layout)
    box = layout.box(name)
    transposed = set(layout.transposed) ^ {name}
    return _replaced(
        layout, {name: box._replace(height=box.width, width=box.height)}, transposed=transposed
    )


def edited(
    h: Float[Array, "*batch n m"],
    layout: BlockLayout,
    changes: Mapping[str, Callable[[Array], Array]],
) -> Float[Array, "*batch n m"]:
    """The prompt, or a batch, with every named block replaced by a function of itself.

    Args:
      h: prompts; may have rows and channels beyond the layout's.
      layout: where the blocks lie. A block stored transposed is changed as it lies.
      changes: block -> function of it [*batch, height, width], of the same shape.

    Raises:
      KeyError: for an unknown block. ValueError: where a function changes the shape.
    """
    checks.instance("edited", BlockLayout, "a BlockLayout", layout=layout)
    checks.real("edited", h=h)
    checks.mapping("edited", "a mapping of blocks to functions", changes=changes)
    h = jnp.asarray(h)
    if h.ndim < 2 or any(
        size < least for size, least in zip(h.shape[-2:], layout.shape, strict=True)
    ):
        raise ValueError(
            f"edited: h must be prompts of at least shape {layout.shape}, got {h.shape}"
        )
    for name, change in changes.items():
        checks.instance("edited", Callable, "a function", **{f"changes[{name!r}]": change})
        box = layout.box(name)
        place = (..., slice(box.row, box.rows.stop), slice(box.col, box.channels.stop))
        block = h[place]
        new = change(block)
        checks.real("edited", **{f"the result of changes[{name!r}]": new})
        checks.same_shape("edited", name, block.shape, f"changed {name}", np.shape(new))
        h = h.at[place].set(new)
    return h


def outside(layout: BlockLayout) -> Bool[np.ndarray, "n m"]:
    """True at the entries of the prompt that lie in no block."""
    checks.instance("outside", BlockLayout, "a BlockLayout", layout=layout)
    mask = np.ones(layout.shape, bool)
    for box in layout.blocks.values():
        mask[box.row : box.rows.stop, box.col : box.channels.stop] = False
    return mask


def _replaced(
    layout: BlockLayout, boxes: Mapping[str, Box], *, transposed: Iterable[str] | None = None
) -> BlockLayout:
    return BlockLayout(
        {**layout.blocks, **boxes},
        layout.shape,
        layout.transposed if transposed is None else transposed,
    )
