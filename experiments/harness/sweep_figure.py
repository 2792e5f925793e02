"""The figure of a sweep: the main number along the first axis, beside theory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.report import style
from experiments.harness import sweep_axes, sweep_lost
from experiments.harness.experiment import Shown
from experiments.harness.marks import Mark, is_number, text_of
from experiments.harness.sweep_lost import Lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ENTRIES = 12
_PANEL, _ENTRY = 1.75, 0.16  # inches: heights of a panel, and of a line of the legend
_APART = 1.5  # times the robust number: from there on single samples make up the main one
_ROOM = 10.0  # times what is not made up so: the height of the axis
Inside = Sequence[tuple[float, tuple[Any, ...], Mark]]  # place along x, colours, the mark
_NONE = np.array([])


def draw(marks: Sequence[Mark], columns: Sequence[str], shown: Shown) -> "Figure | None":
    """The figure, None where no mark has a number.

    The first axis of numbers goes along x (one with more numbers than there are colours, where
    there is such a one), the next axis has a colour for each value (a scale of
    colours where it has many numbers), the third a panel. Further axes have lines of their own, and
    colours while these are few. Where a mean is far above the number that stands beside it, lines
    of that one are drawn too, dashed, and what is far above all else lies beyond the axis. Points
    that were lost (`sweep_lost.told_apart`) are crosses at the edge, and rule no axis.

    Args:
      marks: the records.
      columns: of the swept keys, in their order.
      shown: what the numbers are called.
    """
    if all(mark.mean is None for mark in marks):
        return None
    table = [{**mark.values, **({"case": mark.series} if mark.series else {})} for mark in marks]
    cases = ["case"] if sweep_axes.several(table, "case") else []
    x, hues, panel = sweep_axes.chosen(table, [*columns, *cases])
    colours = [tuple(values.get(hue) for hue in hues) for values in table]
    if len(sweep_axes.each(colours)) > _MOST_ENTRIES:
        hues = hues[:1]
    entries = sweep_axes.each(colour[: len(hues)] for colour in colours)
    scaled = len(hues) == 1 and sweep_axes.is_long(table, hues[0])
    wide = max(len(sweep_axes.label(hues, entry)) for entry in entries) > 24
    below = 0.0 if scaled else _ENTRY * (-(-len(entries) // (1 if wide else 2)) + 1)
    panels = sweep_axes.each(values.get(panel) for values in table) if panel else [None]
    cols, rows = min(2, len(panels)), -(-len(panels) // 2)
    figure, grid = style.figure(
        rows, cols, height=0.4 + _PANEL * rows + below, sharex=True, sharey=True, squeeze=False
    )
    places = sweep_axes.places([values[x] for values in table])
    marks, places = sweep_lost.told_apart(marks, places, numeric=sweep_axes.is_numeric(table, x))
    along = [values[x] for values, p in zip(table, places, strict=True) if np.isfinite(p)]
    height = sweep_axes.words(shown.main) + " (mean ± s.e.)" * any(mark.error for mark in marks)
    robust = not scaled and any(map(_is_apart, marks))
    top = _top(marks) if robust else np.inf
    shades = [colours[n][:1] for n, mark in enumerate(marks) if mark.mean is not None]
    for index, (axes, wanted) in enumerate(zip(grid.flat, panels, strict=False)):
        inside = [
            (places[n], colours[n], mark)
            for n, mark in enumerate(marks)
            if panel is None or table[n][panel] == wanted
        ]
        if scaled:
            last = index == len(panels) - 1
            _scattered(figure, axes, inside, (x, hues[0]), shades, shown.theory, bar=last)
        else:
            labels = [sweep_axes.label(hues, entry) or None for entry in entries]
            joined = sweep_axes.is_numeric(table, x)
            by_line = _by_line(inside, entries)
            _lines(axes, by_line, labels, shown.theory, top, joined=joined)
            if robust:
                _robust(axes, by_line, shown.robust_name)
            sweep_lost.crosses(axes, by_line, top, sweep_axes.words(shown.main), x)
        _scales(axes, along, marks, top)
        style.finish(
            axes,
            x=sweep_axes.words(x) if index >= len(panels) - cols else "",
            y=height if index % cols == 0 else "",
            title=f"{sweep_axes.words(panel)} {text_of(wanted)}" if panel else None,
            legend=False,
        )
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    said = {label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]}
    if said:
        name = shown.theory if shown.theory in said else None
        style.legend_outside(figure, columns=1 if wide else 2, last=name)
    return figure


def _is_apart(mark: Mark) -> bool:
    """Whether single samples make up the mean."""
    return bool(mark.robust and mark.mean and mark.mean > _APART * mark.robust)


def _top(marks: Sequence[Mark]) -> float:
    """Where the axis ends: some way above the means that are not made up of single samples."""
    means = [mark.mean for mark in marks if not _is_apart(mark)]
    beside = [number for mark in marks for number in (mark.robust, mark.target)]
    return _ROOM * max(number for number in (*means, *beside) if number is not None)


def _lines(
    axes: "Axes",
    lines: Lines,
    labels: Sequence[str | None],
    theory: str,
    top: float,
    *,
    joined: bool,
) -> None:
    """Marks for each colour, their errors where they are on the axis, and theory dotted."""
    theories: dict[Any, str] = {}  # of several colours it may be the same, and is drawn once
    stroke = "-" if joined else "none"
    for number, label in enumerate(labels):  # the legend names all, in their order
        size = _size(number, len(labels))
        style.measured(
            axes, _NONE, _NONE, name=number, label=label, linestyle=stroke, markersize=size
        )
    for number, own in lines:
        found = [(place, mark) for place, mark in own if mark.mean is not None]
        errors = [(mark.error or 0.0) * ((mark.mean or 0.0) <= top) for _, mark in found]
        if found:
            style.measured(
                axes,
                np.array([place for place, _ in found]),
                np.array([mark.mean for _, mark in found]),
                error=np.array(errors) if any(errors) else None,
                name=number,
                linestyle=stroke,
                markersize=_size(number, len(labels)),
            )
        predicted = tuple((place, mark.target) for place, mark in own if mark.target is not None)
        if predicted:
            theories.setdefault(predicted, style.colour(number))
    several = len(theories) > 1
    for predicted, look in theories.items():
        own_look = {"color": look, "label": None} if several else {"label": theory}
        _theory(axes, predicted, **own_look)
    if several:
        style.kind(axes, theory, list(theories.values()))


def _size(number: int, count: int) -> float:
    """Of a colour's marker: what coincides with a later one shows around it."""
    return 3.5 + 1.5 * min(2, count - 1 - number)


def _robust(axes: "Axes", lines: Lines, name: str) -> None:
    """The numbers beside, a dashed line of its own for each colour."""
    look: dict[str, Any] = {"marker": "none", "linestyle": (0, (3, 1.5)), "linewidth": 0.9}
    for number, own in lines:
        found = [(place, mark.robust) for place, mark in own if mark.robust is not None]
        if found:
            places, heights = (np.array(values) for values in zip(*found, strict=True))
            style.measured(axes, places, heights, name=number, **look)
    colours = [style.colour(number) for number, own in lines if own]
    style.kind(axes, name, colours, **{key: look[key] for key in ("linestyle", "linewidth")})


def _by_line(inside: Inside, entries: Sequence[tuple[Any, ...]]) -> Lines:
    """The number of the colour of every line, and its marks along x."""
    ordered = sorted(inside, key=lambda found: found[0])
    return [
        (
            entries.index(line[: len(entries[0])]),
            [(place, mark) for place, value, mark in ordered if value == line],
        )
        for line in sweep_axes.each(value for _, value, _ in ordered)
    ]


def _theory(axes: "Axes", predicted: Sequence[tuple[float, Any]], **line: Any) -> None:
    places, targets = (np.array(values) for values in zip(*predicted, strict=True))
    if len(places) == 1:  # a line through one point does not show
        places, targets = places[0] * np.array([0.95, 1.05]), np.repeat(targets, 2)
    style.theory(axes, places, targets, **line)


def _scattered(
    figure: "Figure",
    axes: "Axes",
    inside: Inside,
    columns: tuple[str, str],
    shades: Sequence[tuple[Any, ...]],
    theory: str,
    *,
    bar: bool,
) -> None:
    """A point for each mark, its colour on a scale.

    Args:
      columns: along x, and of the colours.
      shades: the values that the scale of colours spans.
    """
    from matplotlib.colors import LogNorm, Normalize

    found = [(place, colour[0], mark) for place, colour, mark in inside if mark.mean is not None]
    spanned = np.array(shades, float)
    norm = (LogNorm if sweep_axes.is_wide(spanned) else Normalize)(spanned.min(), spanned.max())
    with style.applied():
        drawn = axes.scatter(
            [place for place, _, _ in found],
            np.array([mark.mean for _, _, mark in found], float),
            c=[float(colour) for _, colour, _ in found],
            norm=norm,
            cmap="viridis",
            s=12,
        )
        if bar:
            figure.colorbar(drawn, ax=figure.axes, label=sweep_axes.words(columns[1]))
    lost = [(place, mark) for place, _, mark in inside if mark.mean is None]
    if lost:
        far = [mark.values[columns[0]] for place, mark in lost if np.isinf(place)]
        label = sweep_lost.lost_label(columns[0], far)
        sweep_lost.at_end(axes, [place for place, _ in lost], style.THEORY, "x", label=label)
    targets = [(place, mark.target) for place, _, mark in inside if mark.target is not None]
    if len({target for _, target in targets}) == 1:  # else it depends on more than x
        _theory(axes, sorted(targets), label=theory)


def _scales(axes: "Axes", xs: Sequence[Any], marks: Sequence[Mark], top: float) -> None:
    """Logarithmic axes where they span decades; the places of names, and of few whole numbers."""
    heights = np.array([mark.mean for mark in marks if mark.mean is not None])
    if sweep_axes.is_wide(heights):
        axes.set_yscale("log")
    if heights.max() > top:
        beside = [number for mark in marks for number in (mark.robust, mark.target) if number]
        axes.set_ylim(0.7 * min(*heights, *beside), top)
    values = sweep_axes.each(xs)
    if not all(is_number(value) for value in values):
        axes.set_xticks(range(len(values)), [text_of(value) for value in values])
    elif sweep_axes.is_wide(np.array(values, float)):
        axes.set_xscale("log")
    elif len(values) <= 6 and all(isinstance(value, int) for value in values):
        axes.set_xticks(values)
