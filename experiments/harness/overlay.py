"""Figures of several runs in one: a colour for each run, and what they share drawn once."""

import copy
from collections.abc import Mapping, Sequence

from elsa.report import style
from elsa.report.charts import Chart, Series
from experiments.harness import named_axes

COLOURS = len(style.PALETTE)
# for lines without marks, as theory, and for marks, of names that would look alike
_STROKES = ("dotted", "dashed", "dashdot", "sparse", "longdash", "dashdotdot")
_MARKERS = "osD^vPX"


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
    titles: list[dict[str, list[str]]] = []  # of each panel: title -> the runs that have it
    for number, (run, chart) in enumerate(charts.items()):
        look = {"colour": style.colour(number), "second": number // COLOURS % 2 == 1}
        for place, panel in enumerate(copy.deepcopy(chart["panels"])):
            if place == len(panels):
                panels.append({**panel, "series": []})
                curves.append([])
                titles.append({})
            titles[place].setdefault(panel["title"], []).append(run)
            for side in ("x", "y"):
                named_axes.align(panels[place], panel, side)
            _widen(panels[place], panel)
            for series in panel["series"]:
                _add(curves[place], series, run, look)
    _tell_apart([series for held in curves for series, _ in held])
    for panel, held, named in zip(panels, curves, titles, strict=True):
        panel["title"] = named_axes.title(panel, _title(named))
        panel["series"] = [_drawn(series, looks, len(charts)) for series, looks in held]
    return {"panels": panels, "notes": next(iter(charts.values()))["notes"]}


def _tell_apart(curves: Sequence[Series]) -> None:
    """Gives curves of different names looks of their own: their colours say which run they are.

    The first name that has a look keeps it, so that theory stays dotted.
    """
    named = [one for one in curves if one["name"] and "band" not in one]
    owners: dict[tuple[str | None, str], str] = {}
    for one in named:
        owners.setdefault((one["marker"], one["dash"]), one["name"])
    for one in named:
        own = (one["marker"], one["dash"])
        others = [(mark, own[1]) for mark in _MARKERS] if own[0] else [(None, s) for s in _STROKES]
        for look in (own, *others):
            if owners.setdefault(look, one["name"]) == one["name"]:
                one["marker"], one["dash"] = look
                break


def _widen(held: Chart, panel: Chart) -> None:
    """Lets a panel hold another run's curves."""
    for side in ("x", "y"):
        ends = [*held[side]["range"], *panel[side]["range"]]
        held[side] = {**held[side], "range": [min(ends), max(ends)]}
        if held[side]["ticks"] != panel[side]["ticks"]:
            held[side]["ticks"] = None


def _title(found: Mapping[str, Sequence[str]]) -> str:
    """The title that all runs have; of several, each with its runs."""
    if len(found) == 1:
        return next(iter(found))
    return " / ".join(f"{', '.join(runs)}: {text}" for text, runs in found.items() if text)


def _add(
    held: list[tuple[Series, dict[str, Chart]]], series: Series, run: str, look: Chart
) -> None:
    """Adds a curve, or its run to a curve that another run has with the same numbers."""
    for place, (one, looks) in enumerate(held):
        if run not in looks and _is_shared(one, series):
            if one["x"] != series["x"]:  # as far as the longest goes
                x = [min(*one["x"], *series["x"]), max(*one["x"], *series["x"])]
                held[place] = ({**one, "x": x, **({"y": x} if _is_diagonal(one) else {})}, looks)
            looks[run] = look
            return
    held.append((series, {run: look}))


def _is_shared(one: Series, other: Series) -> bool:
    """Whether two curves without marks are the same numbers, one level, or both the line y = x."""
    if any(series["marker"] or "low" in series or "band" in series for series in (one, other)):
        return False
    if any(one[key] != other[key] for key in ("name", "dash", "fraction")):
        return False
    if _is_diagonal(one) and _is_diagonal(other):
        return True
    is_level = len(one["y"]) == 2 and one["y"][0] == one["y"][1] is not None
    return bool(one["y"] == other["y"] and (one["x"] == other["x"] or is_level))


def _is_diagonal(series: Series) -> bool:
    """Whether a curve is a piece of y = x, as the one that predictions lie on."""
    return len(series["x"]) == 2 and series["x"] == series["y"] and None not in series["x"]


def _drawn(series: Series, looks: Mapping[str, Chart], runs: int) -> Series:
    """A curve in its run's colour, in the page's ink where several runs have it."""
    if len(looks) == 1:
        ((run, look),) = looks.items()
        return {**series, "run": run, **look}
    name = series["name"]
    if name and len(looks) < runs:
        name += f" ({', '.join(looks)})"
    return {**series, "name": name, "run": "", "colour": style.THEORY.lower(), "second": False}
