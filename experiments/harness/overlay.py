"""Figures of several runs in one: a colour for each run, and what they share drawn once."""

import copy
from collections.abc import Mapping

from elsa.report import style
from elsa.report.charts import Chart, Series
from experiments.harness import named_axes

COLOURS = len(style.PALETTE)


def overlaid(charts: Mapping[str, Chart]) -> Chart:
    """One figure of several runs: panels by their place, a colour for each run.

    A curve without marks, as theory is drawn, that several runs have with the same numbers is drawn
    once and has no run; where only some of the runs have it, its name says which. The second six
    runs have the colours of the first six, filled marks and strokes with gaps.

    Args:
      charts: run -> the figure in it.
    """
    panels: list[Chart] = []
    curves: list[list[tuple[Series, dict[str, Chart]]]] = []  # of each panel, with its runs' looks
    for number, (run, chart) in enumerate(charts.items()):
        look = {"colour": style.colour(number), "second": number // COLOURS % 2 == 1}
        for place, panel in enumerate(copy.deepcopy(chart["panels"])):
            if place == len(panels):
                panels.append({**panel, "series": []})
                curves.append([])
            for side in ("x", "y"):
                named_axes.align(panels[place], panel, side)
            _widen(panels[place], panel)
            for series in panel["series"]:
                _add(curves[place], series, run, look)
    for panel, held in zip(panels, curves, strict=True):
        panel["series"] = [_drawn(series, looks, len(charts)) for series, looks in held]
    return {"panels": panels, "notes": next(iter(charts.values()))["notes"]}


def _widen(held: Chart, panel: Chart) -> None:
    """Lets a panel hold another run's curves, under the titles of both."""
    for side in ("x", "y"):
        ends = [*held[side]["range"], *panel[side]["range"]]
        held[side] = {**held[side], "range": [min(ends), max(ends)]}
        if held[side]["ticks"] != panel[side]["ticks"]:
            held[side]["ticks"] = None
    titles = [text for text in dict.fromkeys((held["title"], panel["title"])) if text]
    held["title"] = " / ".join(titles)


def _add(
    held: list[tuple[Series, dict[str, Chart]]], series: Series, run: str, look: Chart
) -> None:
    """Adds a curve, or its run to a curve that another run has with the same numbers."""
    for place, (one, looks) in enumerate(held):
        if run not in looks and _is_shared(one, series):
            x = [value for value in (*one["x"], *series["x"]) if value is not None]
            if one["x"] != series["x"]:  # levels: as far as the longest goes
                held[place] = ({**one, "x": [min(x), max(x)]}, looks)
            looks[run] = look
            return
    held.append((series, {run: look}))


def _is_shared(one: Series, other: Series) -> bool:
    """Whether two curves without marks are the same numbers; of two levels, the same height."""
    if any(series["marker"] or "low" in series or "band" in series for series in (one, other)):
        return False
    if any(one[key] != other[key] for key in ("name", "dash", "fraction", "y")):
        return False
    is_level = len(one["y"]) == 2 and one["y"][0] == one["y"][1] is not None
    return bool(one["x"] == other["x"] or is_level)


def _drawn(series: Series, looks: Mapping[str, Chart], runs: int) -> Series:
    """A curve in its run's colour, in the page's ink where several runs have it."""
    if len(looks) == 1:
        ((run, look),) = looks.items()
        return {**series, "run": run, **look}
    name = series["name"]
    if name and len(looks) < runs:
        name += f" ({', '.join(looks)})"
    return {**series, "name": name, "run": "", "colour": style.THEORY.lower(), "second": False}
