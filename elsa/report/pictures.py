"""Draws panels, maps, lines of text and colour bars on a page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.report import style
from elsa.report.columns import layout
from elsa.report.panels import LETTER, Axis, Item, Line, Map, Panel, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_COLOURS = "RdBu_r"  # blue below zero, white at it, red above: readable with any colour vision


def draw(items: Sequence[Item]) -> "Figure":
    """Draws everything from the top down, side by side where it fits (see `columns.layout`).

    Args:
      items: panels, maps, lines of text and colour bars in reading order.
    """
    from matplotlib.figure import Figure

    page = layout(items)
    with style.applied():
        figure = Figure(figsize=(page.width, page.height))
        for item, (left, top, wide, high) in zip(items, page.places, strict=True):
            box = (
                left / page.width,
                1 - (top + high) / page.height,
                wide / page.width,
                high / page.height,
            )
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
