"""The figure of a sweep: the main number along the first axis, beside theory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.report import style
from experiments.harness.experiment import Shown
from experiments.harness.marks import Mark, is_number, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DECADES = 2.0  # an axis that spans as many is logarithmic
_MOST_PANELS, _MOST_COLOURS, _MOST_ENTRIES = 12, 8, 12
_PANEL, _ENTRY = 1.75, 0.16  # inches: heights of a panel, and of a line of the legend
_LOST = "diverged or failed"
_APART = 1.5  # times the robust number: from there on single samples make up the main one
Values = dict[str, Any]
Inside = Sequence[tuple[float, tuple[Any, ...], Mark]]  # place along x, colours, the mark


def draw(marks: Sequence[Mark], columns: Sequence[str], shown: Shown) -> "Figure | None":
    """The figure, None where no mark has a number.

    The first axis of numbers goes along x (one with more numbers than there are colours, where
    there is such a one), the next axis has a colour for each value (a scale of
    colours where it has many numbers), the third a panel. Further axes have lines of their own, and
    colours while these are few. Where a mean is far above the number that stands beside it, lines
    of that one are drawn too, dashed.

    Args:
      marks: the records.
      columns: of the swept keys, in their order.
      shown: what the numbers are called.
    """
    if all(mark.mean is None for mark in marks):
        return None
    table = [{**mark.values, **({"case": mark.series} if mark.series else {})} for mark in marks]
    x, hues, panel = _axes(table, [*columns, *(["case"] if _several(table, "case") else [])])
    colours = [tuple(values.get(hue) for hue in hues) for values in table]
    if len(_each(colours)) > _MOST_ENTRIES:
        hues = hues[:1]
    entries = _each(colour[: len(hues)] for colour in colours)
    scaled = len(hues) == 1 and _is_long(table, hues[0])
    wide = max(len(_label(hues, entry)) for entry in entries) > 24
    below = 0.0 if scaled else _ENTRY * (-(-len(entries) // (1 if wide else 2)) + 1)
    panels = _each(values.get(panel) for values in table) if panel else [None]
    cols, rows = min(2, len(panels)), -(-len(panels) // 2)
    figure, grid = style.figure(
        rows, cols, height=0.4 + _PANEL * rows + below, sharex=True, sharey=True, squeeze=False
    )
    places = _places([values[x] for values in table])
    height = words(shown.main) + " (mean ± s.e.)" * any(mark.error for mark in marks)
    robust = any(m.robust and m.mean and m.mean > _APART * m.robust for m in marks)
    for index, (axes, wanted) in enumerate(zip(grid.flat, panels, strict=False)):
        inside = [
            (places[n], colours[n], mark)
            for n, mark in enumerate(marks)
            if panel is None or table[n][panel] == wanted
        ]
        if scaled:
            last = index == len(panels) - 1
            _scattered(figure, axes, inside, words(hues[0]), shown.theory, bar=last)
        else:
            _lines(axes, inside, entries, hues, shown.theory, joined=_is_numeric(table, x))
        if robust and not scaled:
            _robust(axes, inside, entries, shown.robust_name)
        _scales(axes, [values[x] for values in table], marks)
        style.finish(
            axes,
            x=words(x) if index >= len(panels) - cols else "",
            y=height if index % cols == 0 else "",
            title=f"{words(panel)} {text_of(wanted)}" if panel else None,
            legend=False,
        )
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    said = {label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]}
    if said:
        name = shown.theory if shown.theory in said else None
        style.legend_outside(figure, columns=1 if wide else 2, last=name)
    return figure


def words(column: str) -> str:
    """A column's name for readers."""
    return column.replace("_", " ")


def _axes(table: Sequence[Values], columns: Sequence[str]) -> tuple[str, list[str], str | None]:
    """What goes along x, what has colours, and what has panels."""
    varied = [column for column in columns if _several(table, column)] or list(columns[:1])
    numeric = [column for column in varied if _is_numeric(table, column)]
    long = [column for column in numeric if _is_long(table, column)]
    x = (long or numeric or varied)[0]
    others = [column for column in varied if column != x]
    panel = None
    if len(others) > 1 and len(_each(values.get(others[1]) for values in table)) <= _MOST_PANELS:
        panel = others.pop(1)
    return x, others, panel


def _lines(
    axes: "Axes",
    inside: Inside,
    entries: Sequence[tuple[Any, ...]],
    hues: Sequence[str],
    theory: str,
    *,
    joined: bool,
) -> None:
    """Marks for each colour, its theory dotted; a cross on top where nothing was found."""
    theories: dict[Any, str] = {}  # of several colours it may be the same, and is drawn once
    crosses = False
    for number, own in _by_line(inside, entries):
        found = [(place, mark) for place, mark in own if mark.mean is not None]
        errors = [mark.error or 0.0 for _, mark in found]
        if found:
            style.measured(
                axes,
                np.array([place for place, _ in found]),
                np.array([mark.mean for _, mark in found]),
                error=np.array(errors) if any(errors) else None,
                name=number,
                label=_label(hues, entries[number]) or None,
                linestyle="-" if joined else "none",
            )
        lost = [place for place, mark in own if mark.mean is None]
        _crosses(axes, lost, style.colour(number), 0.98 - 0.05 * number)
        crosses |= bool(lost)
        predicted = tuple((place, mark.target) for place, mark in own if mark.target is not None)
        if predicted:
            theories.setdefault(predicted, style.colour(number))
    several = len(theories) > 1
    for predicted, look in theories.items():
        own_look = {"color": look, "label": None} if several else {"label": theory}
        _theory(axes, predicted, **own_look)
    # what has several colours is dark in the legend
    if several:
        style.theory(axes, np.array([]), np.array([]), label=theory)
    if crosses:
        _crosses(axes, [], style.THEORY, label=_LOST)


def _robust(axes: "Axes", inside: Inside, entries: Sequence[tuple[Any, ...]], name: str) -> None:
    """The numbers beside, a dashed line of its own for each colour."""
    look: dict[str, Any] = {"marker": "none", "linestyle": (0, (3, 1.5)), "linewidth": 0.9}
    for number, own in _by_line(inside, entries):
        found = [(place, mark.robust) for place, mark in own if mark.robust is not None]
        if found:
            places, heights = (np.array(values) for values in zip(*found, strict=True))
            style.measured(axes, places, heights, name=number, label="_nolegend_", **look)
    empty = np.array([])
    style.measured(axes, empty, empty, name=0, label=name, **{**look, "color": style.THEORY})


def _by_line(
    inside: Inside, entries: Sequence[tuple[Any, ...]]
) -> list[tuple[int, list[tuple[float, Mark]]]]:
    """The number of the colour of every line, and its marks along x."""
    ordered = sorted(inside, key=lambda found: found[0])
    return [
        (
            entries.index(line[: len(entries[0])]),
            [(place, mark) for place, value, mark in ordered if value == line],
        )
        for line in _each(value for _, value, _ in ordered)
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
    label: str,
    theory: str,
    *,
    bar: bool,
) -> None:
    """A point for each mark, its colour on a scale."""
    from matplotlib.colors import LogNorm, Normalize

    found = [(place, colour[0], mark) for place, colour, mark in inside if mark.mean is not None]
    heights = np.array([float(colour[0]) for _, colour, _ in inside])
    norm = (LogNorm if _is_wide(heights) else Normalize)(heights.min(), heights.max())
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
            figure.colorbar(drawn, ax=figure.axes, label=label)
    lost = [place for place, _, mark in inside if mark.mean is None]
    if lost:
        _crosses(axes, lost, style.THEORY, label=_LOST)
    targets = [(place, mark.target) for place, _, mark in inside if mark.target is not None]
    if len({target for _, target in targets}) == 1:  # else it depends on more than x
        _theory(axes, sorted(targets), label=theory)


def _crosses(
    axes: "Axes",
    places: Sequence[float],
    colour: str,
    height: float = 0.98,
    *,
    label: str = "_nolegend_",
) -> None:
    """Crosses at a share of the height; with no places the entry of the legend alone."""
    with style.applied():
        (drawn,) = axes.plot([], [], "x", color=colour, label=label)
        if places:
            drawn.set_transform(axes.get_xaxis_transform())
            drawn.set_data(places, np.full(len(places), height))
            axes.update_datalim([(place, 0.0) for place in places], updatey=False)


def _scales(axes: "Axes", xs: Sequence[Any], marks: Sequence[Mark]) -> None:
    """Logarithmic axes where they span decades; the places of names, and of few whole numbers."""
    heights = [mark.mean for mark in marks if mark.mean is not None]
    if _is_wide(np.array(heights)):
        axes.set_yscale("log")
    values = _each(xs)
    if not all(is_number(value) for value in values):
        axes.set_xticks(range(len(values)), [text_of(value) for value in values])
    elif _is_wide(np.array(values, float)):
        axes.set_xscale("log")
    elif len(values) <= 6 and all(isinstance(value, int) for value in values):
        axes.set_xticks(values)


def _label(hues: Sequence[str], values: Sequence[Any]) -> str:
    """A legend's entry: `depth 2, elsa`; a name speaks for itself."""
    pairs = zip(hues, values, strict=True)
    said = [
        text_of(v) if isinstance(v, str) else f"{words(hue)} {text_of(v)}"
        for hue, v in pairs
        if v is not None
    ]
    return ", ".join(said)


def _places(values: Sequence[Any]) -> list[float]:
    """Where values lie along x: numbers at themselves, names side by side."""
    if all(is_number(value) for value in values):
        return [float(value) for value in values]
    names = _each(values)
    return [float(names.index(value)) for value in values]


def _each(values: Any) -> list[Any]:
    """Different values: numbers in order, names as they come."""
    found = list(dict.fromkeys(values))
    return sorted(found) if all(is_number(value) for value in found) else found


def _several(table: Sequence[Values], column: str) -> bool:
    return len({values.get(column) for values in table} - {None}) > 1


def _is_numeric(table: Sequence[Values], column: str) -> bool:
    return all(is_number(values.get(column)) for values in table)


def _is_long(table: Sequence[Values], column: str) -> bool:
    """Whether an axis has more numbers than there are colours."""
    return _is_numeric(table, column) and len({v[column] for v in table}) > _MOST_COLOURS


def _is_wide(values: np.ndarray) -> bool:
    return bool(len(values) and values.min() > 0 and values.max() >= 10**_DECADES * values.min())
