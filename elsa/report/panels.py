"""Matrices as pictures, placed from left to right and top to bottom on a page one column wide."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from elsa.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_COLOURS = "RdBu_r"  # blue below zero, white at it, red above: readable with any colour vision
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.42, 0.06, 0.18, 0.34  # inches around a panel, for its texts
_LINE = 0.15  # inches: a line of text
_BAR = 0.09  # inches: height of a colour bar
_LETTER = 0.062  # inches: a letter at the smallest size


@dataclasses.dataclass(frozen=True)
class Axis:
    """The indices of one side of a matrix that are drawn, None for a gap, and what they count."""

    name: str
    shown: tuple[int | None, ...]
    starts: frozenset[int] = frozenset()  # where a new block begins

    @classmethod
    def of(cls, name: str, length: int, starts: Iterable[int] = (), longest: int = 6) -> "Axis":
        """All indices from 0 to length - 1, of each run between two starts at most `longest`."""
        begins = sorted({0, *(start for start in starts if 0 < start < length)})
        shown: list[int | None] = []
        for first, stop in zip(begins, [*begins[1:], length], strict=True):
            if stop - first <= longest:
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
        kept: list[int] = []
        for place in [*wanted, len(self.shown) - 1]:
            if all(abs(place - other) * cell >= room for other in kept):
                kept.append(place)
        return kept


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One matrix with a title, and rectangles with names in it."""

    title: str
    values: Float[np.ndarray, "rows columns"]
    rows: Axis
    columns: Axis
    outlines: Sequence[tuple[str, range, range]] = ()

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


Item = Panel | Line | Scale


def draw(items: Sequence[Item], *, cell: float) -> "Figure":
    """Places everything from the top down; panels side by side while they fit.

    Args:
      items: panels, lines of text and colour bars in reading order.
      cell: inches of one entry of a matrix; less where a panel would be wider than the page.
    """
    from matplotlib.figure import Figure

    widest = max([len(item.columns.shown) for item in items if isinstance(item, Panel)], default=1)
    cell = min(cell, (style.WIDTH - _LEFT - _RIGHT) / widest)
    places, height = _places(items, cell)
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
                _matrix(figure.add_axes(box), item, _norm_of(item, items), cell)
            else:
                _bar(figure.add_axes(box), item, _norm_of(item, items))
    return figure


def _places(
    items: Sequence[Item], cell: float
) -> tuple[list[tuple[float, float, float, float]], float]:
    """Left, top, width and height of everything in inches, and the height of the page."""
    places = []
    top, across, tallest = 0.04, 0.0, 0.0  # of the current row of panels
    for item in items:
        if isinstance(item, Panel):
            wide, high = len(item.columns.shown) * cell, len(item.rows.shown) * cell
            outer = max(_LEFT + wide + _RIGHT, _LETTER * len(item.title))
            if across and across + outer > style.WIDTH:
                top, across, tallest = top + tallest, 0.0, 0.0
            places.append((across + _LEFT, top + _TOP, wide, high))
            across, tallest = across + outer, max(tallest, _TOP + high + _BOTTOM)
            continue
        top, across, tallest = top + tallest, 0.0, 0.0
        if isinstance(item, Line):
            places.append((0.04, top + 0.02, style.WIDTH, _LINE))
            top += _LINE + 0.02
        else:
            places.append((_LEFT, top + 0.04, style.WIDTH - 2 * _LEFT, _BAR))
            top += _BAR + 3 * _LINE
    return places, top + tallest


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


def _matrix(axes: "Axes", panel: Panel, norm: "Normalize", cell: float) -> None:
    axes.imshow(panel.picture(), cmap=_COLOURS, norm=norm, aspect="auto")
    axes.set_title(panel.title, fontsize=style.SMALL, pad=2)
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.set_xlabel(panel.columns.name, fontsize=style.SMALL, labelpad=0)
    axes.set_ylabel(panel.rows.name, fontsize=style.SMALL, labelpad=0)
    down, across = panel.rows.ticks(0.11, cell), panel.columns.ticks(0.17, cell)
    axes.set_xticks(across, [str(panel.columns.shown[place]) for place in across])
    axes.set_yticks(down, [str(panel.rows.shown[place]) for place in down])
    axes.tick_params(length=1.5, pad=1)
    for axis, line in ((panel.rows, axes.axhspan), (panel.columns, axes.axvspan)):
        for place in (place for place, index in enumerate(axis.shown) if index is None):
            line(
                place - 0.5, place + 0.5, facecolor="white", hatch="////", edgecolor="#BBBBBB", lw=0
            )
    for name, rows, columns in panel.outlines:
        _outline(axes, name, panel.rows.span(rows), panel.columns.span(columns), cell)


def _outline(
    axes: "Axes", name: str, down: tuple[float, float], across: tuple[float, float], cell: float
) -> None:
    """A rectangle with its name in it; upright and from its top on where it is too narrow."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    wide, high = across[1] - across[0], down[1] - down[0]
    axes.add_patch(
        Rectangle((across[0], down[0]), wide, high, fill=False, lw=0.7, ec="black", clip_on=False)
    )
    length = _LETTER * len(name) / cell
    upright, overflows = length > wide, length > max(wide, high)
    text: dict[str, Any] = {"ha": "center", "va": "center", "rotation": 90 if upright else 0}
    middle = (down[0] + down[1]) / 2
    if overflows:
        middle, text["va"] = down[0] + 0.1, "top"
    halo = [withStroke(linewidth=1.5, foreground="white")]
    axes.text(
        (across[0] + across[1]) / 2, middle, name, fontsize=style.SMALL, path_effects=halo, **text
    )


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
    bar.set_label(scale.label, fontsize=style.SMALL, labelpad=1)
