"""The rows of a run as one figure: ratios to their baselines, and costs along growing sizes."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.harness import Row
from elsa.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.17  # inches of a row of ratios
_PANEL = 2.4  # inches of a panel of growing costs
_LABELS = {
    "n": "context length n (examples)",
    "d": "dimension d",
    "depth": "depth (layers, or steps)",
    "batch": "batch (prompts)",
    "models": "models in one program",
}


def draw(rows: Sequence[Row]) -> "list[tuple[str, Figure]]":
    """Figures by name: "ratios" and "growth", each where there is something to draw."""
    drawn = []
    compared = [row for row in rows if row.ratio is not None and not row.axis]
    if compared:
        drawn.append(("ratios", _ratios(compared)))
    axes = dict.fromkeys(row.axis for row in rows if row.at is not None and row.value)
    growing = {axis: [row for row in rows if row.axis == axis and row.value] for axis in axes}
    if growing:
        drawn.append(("growth", _growth(growing)))
    return drawn


def _ratios(rows: Sequence[Row]) -> "Figure":
    """One line of text a row, its ratio as a point with the interval, and its limit dotted."""
    lines: list[tuple[str, Row | None]] = []
    for case in dict.fromkeys(row.case for row in rows):
        lines += [(case, None), *((row.metric, row) for row in rows if row.case == case)]
    figure, axes = style.figure(height=0.8 + _LINE * len(lines), width=2.2 * style.WIDTH)
    labels: set[str] = set()

    def once(text: str) -> str | None:
        new = text not in labels
        labels.add(text)
        return text if new else None

    with style.applied():
        for place, (_, row) in enumerate(lines):
            if row is None or row.ratio is None:
                continue
            low, high = row.interval or (row.ratio, row.ratio)
            bars = [[max(row.ratio - low, 0.0)], [max(high - row.ratio, 0.0)]]
            kind = "rate: above 1 is faster" if row.higher_is_better else "time: below 1 is faster"
            look = {"color": style.colour(int(row.higher_is_better)), "capsize": 1.5}
            axes.errorbar([row.ratio], [place], xerr=bars, fmt="o", label=once(kind), **look)
            if row.limit is not None:
                ends = [place - 0.45, place + 0.45]
                style.theory(axes, [row.limit] * 2, ends, label=once("limit"))
        axes.axvline(1.0, color=style.THEORY, linewidth=0.6, label="baseline")
        axes.set_xscale("log")
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_yticks(range(len(lines)), [text for text, _ in lines])
        for tick, (_, drawn) in zip(axes.get_yticklabels(), lines, strict=True):
            tick.set_fontweight("normal" if drawn else "bold")
    style.finish(axes, x="ratio to the baseline", y="", legend=False)
    style.legend_outside(figure, axes, columns=4)
    return figure


def _growth(growing: "Mapping[str, Sequence[Row]]") -> "Figure":
    """A panel for each size that grows; dotted, the slope that is the limit."""
    cols = min(2, len(growing))
    lines = -(-len(growing) // cols)
    figure, grid = style.figure(
        lines, cols, height=_PANEL * lines, width=1.1 * cols * style.WIDTH, squeeze=False
    )
    for panel, (axis, rows) in zip(grid.flat, growing.items(), strict=False):
        _panel(panel, axis, rows)
    for empty in list(grid.flat)[len(growing) :]:
        empty.set_visible(False)
    return figure


def _panel(panel: "Axes", axis: str, rows: Sequence[Row]) -> None:
    curves = list(dict.fromkeys((row.case, row.series) for row in rows if row.at is not None))
    limits = set()
    for index, curve in enumerate(curves):
        own = [row for row in rows if (row.case, row.series) == curve]
        points = sorted((row.at, row.value or 0.0) for row in own if row.at is not None)
        sizes, seconds = zip(*points, strict=True)
        slopes = [row.value for row in own if row.at is None and row.value is not None]
        label = ", slope ".join([curve[1], *(f"{slope:.2f}" for slope in slopes)])
        style.measured(panel, sizes, seconds, name=index, label=label)
        for row in own:
            if row.at is None and row.limit is not None:
                bound = [seconds[-1] * (size / sizes[-1]) ** row.limit for size in sizes]
                text = None if row.limit in limits else f"slope {row.limit:g}, the limit"
                style.theory(panel, sizes, bound, label=text)
                limits.add(row.limit)
    ticks = sorted({row.at for row in rows if row.at is not None})
    with style.applied():
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(ticks, [f"{tick:.0e}" if tick > 9_999 else f"{tick:g}" for tick in ticks])
        panel.set_xticks([], minor=True)
        panel.margins(y=0.25)
    titles = "\n".join(textwrap.fill(case, 50) for case in dict.fromkeys(of for of, _ in curves))
    style.finish(panel, x=_LABELS.get(axis, axis), y="time of a call (s)", title=titles)
