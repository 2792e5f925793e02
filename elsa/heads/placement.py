"""Whether a head computes what its formula says in a given layout.

A product contracted over all rows of the prompt is exact only where the two channel blocks meet in
no rows but their own; a result that lands in the rows of A is clean only where A's channels hold
nothing else. Both are checked before a head is made.
"""

from collections.abc import Mapping

from elsa.base import checks
from elsa.prompts.layout import BlockLayout, Box, overlap

Source = str | Mapping[str, float]
"""A block by name, or a combination of blocks of one width and the same rows: {"y": 1.0}."""


def shares(source: Source) -> Mapping[str, float]:
    """Block -> its coefficient in the combination."""
    return {source: 1.0} if isinstance(source, str) else source


def block_names(source: Source) -> list[str]:
    """The blocks of a combination."""
    return list(shares(source))


def show(source: Source, scale: float = 1.0) -> str:
    """The source in a formula, `scale` in front."""
    factor = {1.0: "", -1.0: "-"}.get(float(scale), f"{scale:g} ")
    if isinstance(source, str):
        return factor + source
    terms = " + ".join(show(name, share) for name, share in source.items())
    return f"{factor}({terms.replace('+ -', '- ')})"


def lying_shape(layout: BlockLayout, name: str) -> tuple[int, int]:
    """Height and width of a block as it lies in the prompt."""
    box = layout.box(name)
    return (box.height, box.width)


def common_box(layout: BlockLayout, source: Source) -> Box:
    """The box of a combination's blocks: same rows and same width, different channels."""
    names = block_names(source)
    if not names:
        raise ValueError("heads: a combination must name at least one block, got {}")
    first = layout.box(names[0])
    for name in names[1:]:
        other = layout.box(name)
        if (other.row, other.height, other.width) != (first.row, first.height, first.width):
            raise ValueError(
                f"heads: blocks {names[0]!r} {tuple(first)} and {name!r} {tuple(other)} cannot be "
                "combined: they must have the same rows and the same width"
            )
    return first


def require_arguments(
    where: str, layout: BlockLayout, target: str, scale: float = 1.0, **sources: Source
) -> None:
    """Refuses a bad layout, an unknown target block, a scale that is not finite, or no source."""
    checks.instance(where, BlockLayout, "a BlockLayout", layout=layout)
    layout.box(target)
    checks.number(where, scale=scale)
    checks.finite(where, scale=scale)
    for name, source in sources.items():
        checks.instance(where, str | Mapping, "a block's name or a combination", **{name: source})


def require_shape(where: str, layout: BlockLayout, target: str, expected: tuple[int, int]) -> None:
    """Refuses a target whose box does not have the shape of the result."""
    if lying_shape(layout, target) != expected:
        raise ValueError(
            f"{where}: block {target!r} must have shape {expected} to take the result, "
            f"got {lying_shape(layout, target)}"
        )


def require_inner(where: str, first: str, size: int, second: str, other: int) -> None:
    """Refuses factors whose inner sizes differ."""
    if size != other:
        raise ValueError(f"{where}: {first} and {second} must agree, got {size} and {other}")


def require_landing_in_rows(where: str, layout: BlockLayout, a: Source, target: str) -> None:
    """The result lies in A's rows, and A's channels hold nothing that would add to other rows."""
    rows, place = common_box(layout, a).rows, layout.box(target).rows
    if rows != place:
        raise ValueError(
            f"{where}: the result lands in the rows of {show(a)}, {rows.start}:{rows.stop}, but "
            f"block {target!r} lies in rows {place.start}:{place.stop}; move it in another layer"
        )
    for name in block_names(a):
        for other in _sharing_channels(layout, name):
            if other not in block_names(a):
                raise ValueError(
                    f"{where}: block {other!r} shares channels with {name!r}, so that its rows "
                    f"would receive a product too; give {name!r} channels of its own"
                )


def require_clean_contraction(where: str, layout: BlockLayout, a: Source, b: Source) -> None:
    """A^T B sums over all rows: the channels of A and B meet in the rows of A and B only."""
    rows, others = common_box(layout, a).rows, common_box(layout, b).rows
    if rows != others:
        raise ValueError(
            f"{where}: {show(a)} and {show(b)} must lie in the same rows to be contracted, got "
            f"{rows.start}:{rows.stop} and {others.start}:{others.stop}"
        )
    for left in (found for name in block_names(a) for found in _sharing_channels(layout, name)):
        for right in (
            found for name in block_names(b) for found in _sharing_channels(layout, name)
        ):
            wanted = left in block_names(a) and right in block_names(b)
            if not wanted and overlap(layout.box(left).rows, layout.box(right).rows):
                raise ValueError(
                    f"{where}: blocks {left!r} and {right!r} share channels with {show(a)} and "
                    f"{show(b)} and meet in other rows, which would enter the sum over rows"
                )


def _sharing_channels(layout: BlockLayout, name: str) -> list[str]:
    """The blocks that have a channel in common with the named one, itself included."""
    channels = layout.box(name).channels
    return [other for other in layout if overlap(layout.box(other).channels, channels)]
