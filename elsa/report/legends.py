"""Legends: entries that stand for several curves, and how many fit side by side."""

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.legend_handler import HandlerBase
    from matplotlib.lines import Line2D


def kind(colours: Sequence[str], **look: Any) -> "Line2D":
    """A line of no points, whose legend entry shows its stroke in several colours.

    Args:
      colours: of the pieces of the sample.
      **look: the stroke and the label, as for matplotlib's Line2D.
    """
    line, _ = _classes()
    made = line([], [], **look)
    made.colours = tuple(colours)  # type: ignore[attr-defined]
    return made


def handlers() -> dict[type, "HandlerBase"]:
    """The `handler_map` of a legend that has such entries."""
    line, handler = _classes()
    return {line: handler()}


def columns_that_fit(labels: Sequence[str], most: int, width: float, size: float) -> int:
    """How many columns of entries a legend of this width has room for, `most` at most, 1 at least.

    Args:
      labels: the entries, which fill one column after the other.
      most: columns wanted.
      width: in points.
      size: of the letters, in points.
    """
    lengths = [max(_length(line, size) for line in label.splitlines() or [""]) for label in labels]
    for columns in range(min(most, len(labels)), 1, -1):
        rows, longer = divmod(len(lengths), columns)
        starts = [rows * place + min(place, longer) for place in range(columns + 1)]
        parts = [lengths[a:b] for a, b in itertools.pairwise(starts)]
        sample, gap = 2.6 * size, 1.2 * size  # beside every text, and between columns
        if sum(max(part) + sample for part in parts) + gap * (columns - 1) + size < width:
            return columns
    return 1


def _length(text: str, size: float) -> float:
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=size).get_extents().width) if text.strip() else 0.0


@functools.cache
def _classes() -> tuple[type["Line2D"], type["HandlerBase"]]:
    from matplotlib.legend_handler import HandlerLine2D
    from matplotlib.lines import Line2D

    class Kind(Line2D):
        pass

    class InColours(HandlerLine2D):
        """The sample of a `Kind`: a piece of the line for each of its colours."""

        def create_artists(
            self,
            legend: Any,
            orig_handle: Any,
            xdescent: float,
            ydescent: float,
            width: float,
            height: float,
            fontsize: float,
            trans: Any,
        ) -> list[Line2D]:
            piece, middle = width / len(orig_handle.colours), (height - ydescent) / 2
            pieces = []
            for place, colour in enumerate(orig_handle.colours):
                start = place * piece - xdescent
                made = Line2D([start, start + piece], [middle, middle])
                self.update_prop(made, orig_handle, legend)
                made.set(color=colour, marker="", transform=trans, dash_capstyle="butt")
                made.set_solid_capstyle("butt")
                pieces.append(made)
            return pieces

    return Kind, InColours
