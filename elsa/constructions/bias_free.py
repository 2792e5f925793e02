"""Layouts for layers without biases, which act on channels and treat all rows alike."""

from collections.abc import Iterable, Mapping, Sequence

from elsa.prompts.layout import BlockLayout, overlap


def check_layout(
    where: str,
    layout: BlockLayout,
    blocks: Mapping[str, tuple[int, int]],
    *,
    company: Mapping[str, Iterable[Sequence[str]]],
    apart: Iterable[str],
) -> None:
    """Refuses a layout in which whole channels hold anything but what bias-free heads read.

    Args:
      where: the construction; messages start with it.
      layout: the caller's.
      blocks: name -> shape of the blocks it must have.
      company: "rows" and "channels" -> sets of blocks that must share theirs.
      apart: blocks that must not share channels with each other.

    Raises:
      ValueError: naming the blocks, where they lie and where they must lie.
    """
    shapes = {name: layout.shape_of(name) for name in layout}
    if shapes != blocks:
        raise ValueError(f"{where}: layout must have the blocks {blocks}, got {shapes}")
    if layout.transposed:
        raise ValueError(
            f"{where}: layout stores {layout.transposed} transposed, which layers without biases "
            "cannot undo, as they multiply the prompt from the right only; ridge_elsa can"
        )
    for axis, sets in company.items():
        for names in sets:
            spans = {name: getattr(layout.box(name), axis) for name in names if name in layout}
            if len(set(spans.values())) > 1:
                raise ValueError(
                    f"{where}: blocks {list(spans)} must share their {axis}, got "
                    f"{[(span.start, span.stop) for span in spans.values()]}"
                )
    columns = [name for name in apart if name in layout]
    for index, name in enumerate(columns):
        for other in columns[:index]:
            if overlap(layout.box(name).channels, layout.box(other).channels):
                raise ValueError(
                    f"{where}: blocks {other!r} and {name!r} must not share channels, as layers "
                    f"without biases see whole columns, got boxes {tuple(layout.box(other))} and "
                    f"{tuple(layout.box(name))}"
                )
