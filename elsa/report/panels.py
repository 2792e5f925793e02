"""Matrices as pictures, placed from left to right and top to bottom on a page one column wide."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from elsa.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_COLOURS = "RdBu_r"  # blue below zero, white at it, red above: readable with any colour vision
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.3, 0.06, 0.17, 0.18  # inches around a panel, for its texts
_EDGE = 0.05  # around a panel without ticks
_LINE = 0.15  # inches: a line of text
_BAR = 0.09  # inches: height of a colour bar
LETTER = 0.062  # inches: a letter at the smallest size, at most
_TITLE = 0.052  # the same of titles, whose letters are known


@dataclasses.dataclass(frozen=True)
class Axis:
    """The indices of one side of a matrix that are drawn, None for a gap, and what they count."""

    name: str
    shown: tuple[int | None, ...]
    starts: frozenset[int] = frozenset()  # where a new block begins

    @classmethod
    def of(
        cls,
        name: str,
        length: int,
        starts: Iterable[int] = (),
        longest: int = 6,
        used: Bool[np.ndarray, " length"] | None = None,
    ) -> "Axis":
        """Indices from 0 to length - 1, of each run between two starts at most `longest`.

        With `used` only the runs that have an index of it.
        """
        begins = sorted({0, *(start for start in starts if 0 < start < length)})
        shown: list[int | None] = []
        for first, stop in zip(begins, [*begins[1:], length], strict=True):
            if used is not None and not used[first:stop].any():
                shown += [None] if not shown or shown[-1] is not None else []
            elif stop - first <= longest:
                shown += range(first, stop)
            else:
                tail = (longest - 1) // 2
                shown += [
                    *range(first, first + longest - 1 - tail),
                    None,
                    *range(stop - tail, stop),
                ]
        return cls(name, tuple(shown), frozenset(begins))

    @property
    def is_cut(self) -> bool:
        return None in self.shown

    def span(self, indices: range) -> tuple[float, float]:
        """From where to where a range lies in the picture, in cells."""
        places = [place for place, index in enumerate(self.shown) if index in indices]
        return min(places) - 0.5, max(places) + 0.5

    def ticks(self, room: float, cell: float) -> list[int]:
        """Places of block starts and of the last index, those left out that would touch another."""
        wanted = [place for place, index in enumerate(self.shown) if index in self.starts]
        last = max(place for place, index in enumerate(self.shown) if index is not None)
        kept: list[int] = []
        for place in [*wanted, last]:
            if all(abs(place - other) * cell >= room for other in kept):
                kept.append(place)
        return kept


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One matrix with a title, and rectangles in it; `cell` is the inches of an entry."""

    title: str
    values: Float[np.ndarray, "rows columns"]
    rows: Axis
    columns: Axis
    outlines: Sequence[tuple[range, range]] = ()
    cell: float = 0.09
    has_ticks: bool = True

    @property
    def size(self) -> tuple[float, float]:
        """Inches across and down, less than asked for where the page is too narrow."""
        cell = min(self.cell, (style.WIDTH - self.left - _RIGHT) / len(self.columns.shown))
        return len(self.columns.shown) * cell, len(self.rows.shown) * cell

    @property
    def left(self) -> float:
        return _LEFT if self.has_ticks else _EDGE

    def picture(self) -> Float[np.ndarray, "_rows _columns"]:
        """What is drawn: NaN in the gaps."""
        seen = np.full((len(self.rows.shown), len(self.columns.shown)), np.nan)
        down = [place for place, index in enumerate(self.rows.shown) if index is not None]
        across = [place for place, index in enumerate(self.columns.shown) if index is not None]
        rows = [index for index in self.rows.shown if index is not None]
        columns = [index for index in self.columns.shown if index is not None]
        seen[np.ix_(down, across)] = self.values[np.ix_(rows, columns)]
        return seen


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A line of text above what follows."""

    text: str
    bold: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """A colour bar for the panels above it, which share the scale, back to the last bar."""

    label: str
    linear_below: float  # linear up to here, logarithmic beyond; infinity for linear throughout


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """Where the blocks of a prompt lie, by name, across the page."""

    rows: Axis
    columns: Axis
    blocks: Sequence[tuple[str, range, range]]

    @property
    def height(self) -> float:
        return min(max(0.1 * len(self.rows.shown), 0.5), 0.9)


Item = Panel | Line | Scale | Map


def draw(items: Sequence[Item]) -> "Figure":
    """Places everything from the top down; panels side by side while they fit.

    Args:
      items: panels, maps, lines of text and colour bars in reading order.
    """
    from matplotlib.figure import Figure

    places, height = _places(items)
    with style.applied():
        figure = Figure(figsize=(style.WIDTH, height))
        for item, (left, top, wide, high) in zip(items, places, strict=True):
            box = (left / style.WIDTH, 1 - (top + high) / height, wide / style.WIDTH, high / height)
            if isinstance(item, Line):
                weight = "bold" if item.bold else "normal"
                figure.text(
                    *box[:2], item.text, fontsize=style.SMALL, fontweight=weight, va="bottom"
                )
            elif isinstance(item, Panel):
                _matrix(figure.add_axes(box), item, _norm_of(item, items))
            elif isinstance(item, Map):
                _blocks(figure.add_axes(box), item, wide, high)
            else:
                _bar(figure.add_axes(box), item, _norm_of(item, items))
    return figure


def _places(items: Sequence[Item]) -> tuple[list[tuple[float, float, float, float]], float]:
    """Left, top, width and height of everything in inches, and the height of the page."""
    places = []
    top, across, tallest = 0.04, 0.0, 0.0  # of the current row of panels
    for item in items:
        if isinstance(item, Panel):
            wide, high = item.size
            outer = max(item.left + wide + _EDGE, _TITLE * len(item.title))
            if across and across + outer > style.WIDTH:
                top, across, tallest = top + tallest, 0.0, 0.0
            places.append((across + item.left, top + _TOP, wide, high))
            below = _BOTTOM if item.has_ticks else _EDGE
            across, tallest = across + outer, max(tallest, _TOP + high + below)
            continue
        top, across, tallest = top + tallest, 0.0, 0.0
        if isinstance(item, Line):
            places.append((0.04, top + 0.02, style.WIDTH, _LINE))
            top += _LINE + 0.02
        elif isinstance(item, Map):
            places.append((_LEFT, top + 0.05, style.WIDTH - _LEFT - _RIGHT, item.height))
            top += item.height + 0.05 + _BOTTOM
        else:
            places.append((_LEFT, top + 0.04, style.WIDTH - 2 * _LEFT, _BAR))
            top += _BAR + 2.4 * _LINE
    return places, top + tallest + 0.02


def _norm_of(item: Item, items: Sequence[Item]) -> "Normalize":
    """The scale an item belongs to: that of the next colour bar, symmetric about zero."""
    from matplotlib.colors import Normalize, SymLogNorm

    here = next(index for index, other in enumerate(items) if other is item)
    end = next(i for i in range(here, len(items)) if isinstance(items[i], Scale))
    bars = [i for i in range(here) if isinstance(items[i], Scale)]
    begin = bars[-1] + 1 if bars else 0
    panels = [other for other in items[begin:end] if isinstance(other, Panel)]
    size = max((float(np.abs(panel.values).max(initial=0.0)) for panel in panels), default=0.0)
    size, scale = size or 1.0, items[end]
    assert isinstance(scale, Scale)
    if scale.linear_below >= size:
        return Normalize(-size, size)
    return SymLogNorm(scale.linear_below, vmin=-size, vmax=size)


def _matrix(axes: "Axes", panel: Panel, norm: "Normalize") -> None:
    axes.imshow(panel.picture(), cmap=_COLOURS, norm=norm, aspect="auto")
    axes.set_title(panel.title, fontsize=style.SMALL, pad=2)
    _ruled(axes, panel.rows, panel.columns, *panel.size, has_ticks=panel.has_ticks)
    for rows, columns in panel.outlines:
        _outline(axes, panel.rows.span(rows), panel.columns.span(columns))


def _ruled(
    axes: "Axes", rows: Axis, columns: Axis, wide: float, high: float, *, has_ticks: bool
) -> None:
    """Ticks where blocks begin, a frame, and strips for what is left out."""
    axes.grid(False)
    axes.spines[:].set_visible(True)
    down = rows.ticks(0.11, high / len(rows.shown)) if has_ticks else []
    across = columns.ticks(0.17, wide / len(columns.shown)) if has_ticks else []
    axes.set_xticks(across, [str(columns.shown[place]) for place in across])
    axes.set_yticks(down, [str(rows.shown[place]) for place in down])
    axes.tick_params(length=1.5, pad=1)
    strip: dict[str, Any] = {"facecolor": "white", "hatch": "////", "edgecolor": "#BBBBBB", "lw": 0}
    for axis, line in ((rows, axes.axhspan), (columns, axes.axvspan)):
        for place in (place for place, index in enumerate(axis.shown) if index is None):
            line(place - 0.5, place + 0.5, **strip)


def _blocks(axes: "Axes", item: Map, wide: float, high: float) -> None:
    """Outlines with names in them, upright where they are too long; letters where they fit not."""
    rows, columns = len(item.rows.shown), len(item.columns.shown)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    _ruled(axes, item.rows, item.columns, wide, high, has_ticks=True)
    for name, down, across in item.blocks:
        (top, bottom), (left, right) = item.rows.span(down), item.columns.span(across)
        _outline(axes, (top, bottom), (left, right))
        length, broad = LETTER * len(name), (right - left) * wide / columns
        turned = length > broad and (bottom - top) * high / rows > broad
        axes.text(
            *((left + right) / 2, (top + bottom) / 2, name),
            fontsize=style.SMALL,
            horizontalalignment="center",
            verticalalignment="center",
            rotation=90 if turned else 0,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )


def _outline(axes: "Axes", down: tuple[float, float], across: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    wide, high = across[1] - across[0], down[1] - down[0]
    look: dict[str, Any] = {"fill": False, "lw": 0.7, "ec": "black", "clip_on": False}
    axes.add_patch(Rectangle((across[0], down[0]), wide, high, **look))


def _bar(axes: "Axes", scale: Scale, norm: "Normalize") -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import NullLocator

    size = float(norm.vmax or 1.0)
    bar = axes.figure.colorbar(
        ScalarMappable(norm, cmap=_COLOURS), cax=axes, orientation="horizontal"
    )
    inner = scale.linear_below if scale.linear_below < size else size / 2
    marks = [-size, -inner, 0.0, inner, size]
    bar.set_ticks(marks, labels=[f"{mark:.3g}" for mark in marks])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(length=1.5, pad=1)
    beyond = rf", logarithmic beyond $\pm${inner:.3g}" if scale.linear_below < size else ""
    bar.set_label(scale.label + beyond, fontsize=style.SMALL, labelpad=1)
