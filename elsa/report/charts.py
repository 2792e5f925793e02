"""The numbers of a figure, read from the figure itself: nothing is computed a second time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Chart = dict[str, Any]
Series = dict[str, Any]
_DASHES = {"-": "solid", "--": "dashed", "-.": "dashed", ":": "dotted"}


def chart(figure: "Figure") -> Chart | None:
    """What a figure draws, as plain values; None where that is more than lines, marks and bands.

    Returns:
      `panels`, from left to right and top to bottom, each with `title`, the axes `x` and `y`
      (`label`, `scale`: linear or log, `range`, `ticks`: pairs of place and text or None, `named`:
      whether the places stand for names, as of columns), `series` and `notes` (texts beside the
      curves); and `notes` of the whole figure. A series has `name`, `colour`, `dash` (solid,
      dashed, dotted or none), `marker`, its `size` (points, across) and whether it is `filled`,
      `width`, `x`, `y`, `every`: the first point with a marker and the step to the next, or
      `marked`: all points that have one; for bars of error `low` and `high`, for a band `band`:
      true, its outline in x and y, and `fraction`: the axes, of "x" and "y", along which its
      numbers are shares of the panel. A gap is None. A guide, as the line at 0, has no name.
    """
    panels = []
    shown = [axes for axes in figure.axes if axes.get_visible()]
    for axes in shown:
        panel = _panel(axes)
        if panel is None:
            return None
        panels.append(panel)
    if not panels:
        return None
    above = {"x": figure.get_supxlabel(), "y": figure.get_supylabel()}
    for side, whole in above.items():
        own = [panel[side]["label"] for panel in panels]
        for axes, panel in zip(shown, panels, strict=True):
            panel[side]["label"] = panel[side]["label"] or _outer(axes, shown, own, side) or whole
    _name(panels)
    notes = [text.get_text() for text in figure.texts if text.get_text() not in above.values()]
    return {"panels": panels, "notes": notes}


def _outer(axes: "Axes", others: Sequence["Axes"], labels: Sequence[str], side: str) -> str:
    """What an outer panel says of an axis that an inner one does not label; "" where none does.

    Of panels that share the axis, and of those in the same column for x, in the same row for y.
    """

    def line(panel: "Axes") -> list[int]:
        place = panel.get_subplotspec()
        return [] if place is None else [*(place.colspan if side == "x" else place.rowspan)]

    shared = getattr(axes, f"get_shared_{side}_axes")()
    found = [
        label
        for other, label in zip(others, labels, strict=True)
        if label and (shared.joined(axes, other) or line(axes) == line(other) != [])
    ]
    return found[-1 if side == "x" else 0] if found else ""


def _panel(axes: "Axes") -> Chart | None:
    series = _series(axes)
    if series is None or {axes.get_xscale(), axes.get_yscale()} - {"linear", "log"}:
        return None
    titles = [axes.get_title(loc=loc) for loc in ("left", "center", "right")]
    return {
        "title": " ".join(filter(None, titles)),
        "x": _side(axes, "x"),
        "y": _side(axes, "y"),
        "series": series,
        "notes": [text.get_text() for text in axes.texts],
    }


def _side(axes: "Axes", side: str) -> Chart:
    from matplotlib.ticker import FixedLocator

    axis = getattr(axes, f"{side}axis")
    low, high = sorted(float(end) for end in getattr(axes, f"get_{side}lim")())
    ticks = None
    if isinstance(axis.get_major_locator(), FixedLocator):
        places = [float(place) for place in axis.get_majorticklocs()]
        texts = axis.get_major_formatter().format_ticks(places)
        ticks = [
            [place, text]
            for place, text in zip(places, texts, strict=True)
            if low <= place <= high and text
        ]
    scale = getattr(axes, f"get_{side}scale")()
    label = getattr(axes, f"get_{side}label")()
    is_named = scale == "linear" and not all(_is_number(text) for _, text in ticks or ())
    about = {"label": label, "scale": scale, "named": is_named}
    return {**about, "range": [low, high], "ticks": ticks or None}


def _is_number(text: str) -> bool:
    try:
        float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return False
    return True


def _series(axes: "Axes") -> list[Series] | None:
    """Everything drawn in data's coordinates; None where some of it is of another kind."""
    from matplotlib.axis import Axis
    from matplotlib.collections import LineCollection, PathCollection, PolyCollection
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.spines import Spine
    from matplotlib.text import Text

    bars, parts = _bars_of_error(axes)
    found: list[Series] = []
    for artist in axes.get_children():
        if artist in parts or artist is axes.patch or not artist.get_visible():
            continue
        if isinstance(artist, Line2D):
            found.append({**_line(axes, artist), **bars.get(artist, {})})
        elif isinstance(artist, PolyCollection):
            outline = _with_gaps(path.vertices for path in artist.get_paths())
            found.append({**_look(artist, artist.get_facecolor()), **outline, "band": True})
        elif isinstance(artist, LineCollection):
            outline = _with_gaps(path.vertices for path in artist.get_paths())
            width = float(np.ravel(artist.get_linewidth())[0])
            look = _look(artist, artist.get_edgecolor())
            found.append({**look, **outline, "dash": "solid", "width": width})
        elif isinstance(artist, PathCollection) and artist.get_array() is None:
            places = np.asarray(artist.get_offsets(), float)
            look = _look(artist, artist.get_facecolor())
            mark = {"marker": "o", "size": 3.5, "filled": False}
            found.append({**look, **_with_gaps([places]), **mark})
        elif not isinstance(artist, Axis | Spine | Text | Legend):
            return None
    return found


def _bars_of_error(axes: "Axes") -> tuple[dict["Artist", Series], set["Artist"]]:
    """Of lines with bars of error: name, low and high ends; and what the bars are drawn of."""
    from matplotlib.container import ErrorbarContainer

    bars: dict[Artist, Series] = {}
    parts: set[Artist] = set()
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer) and container.has_yerr:
            line, caps, lines = container.lines
            parts |= {*caps, *lines}
            ends = [np.asarray(path.vertices, float)[:, 1] for path in lines[-1].get_paths()]
            bars[line] = {
                "name": _said(container),
                "low": _plain([end.min() for end in ends]),
                "high": _plain([end.max() for end in ends]),
            }
    return bars, parts


def _line(axes: "Axes", line: Any) -> Series:
    from matplotlib.colors import to_hex

    transform = line.get_transform()
    whole: dict[str, Any] = {
        "x": axes.get_yaxis_transform(which="grid"),
        "y": axes.get_xaxis_transform(which="grid"),
    }
    in_data = transform is axes.transData  # which equals transAxes where limits are 0 and 1
    fraction = [
        side for side in whole if not in_data and transform in (whole[side], axes.transAxes)
    ]
    x, y = map(_plain, line.get_data())
    marker, width = str(line.get_marker()), round(float(line.get_linewidth()), 3)
    return {
        **{"name": _said(line), "colour": to_hex(line.get_color()), "x": x, "y": y},
        "dash": _DASHES.get(str(line.get_linestyle()), "none"),
        "marker": None if marker.lower() in ("none", "", " ") else marker,
        **_mark(line),
        **{"width": width, "fraction": fraction, **_every(line.get_markevery())},
    }


def _mark(line: Any) -> Series:
    """Size of a mark, in points across, and whether it is filled with its own colour."""
    from matplotlib.colors import to_rgba

    size = float(line.get_markersize()) * (0.5 if line.get_marker() == "." else 1.0)
    return {
        "size": size,
        "filled": to_rgba(line.get_markerfacecolor()) == to_rgba(line.get_color()),
    }


def _every(markevery: Any) -> Series:
    """First marked point, and how many it is from each to the next; or all that are marked."""
    if isinstance(markevery, int):
        return {"every": [0, markevery]}
    if isinstance(markevery, tuple) and all(isinstance(part, int) for part in markevery):
        return {"every": list(markevery)}
    if isinstance(markevery, list):
        return {"every": [0, 1], "marked": [int(place) for place in markevery]}
    return {"every": [0, 1]}


def _look(artist: Any, colours: Any) -> Series:
    from matplotlib.colors import to_hex

    colour = to_hex(np.atleast_2d(colours)[0][:3]) if len(colours) else "#777777"
    drawn = {"name": _said(artist), "colour": colour, "dash": "none", "marker": None}
    return {**drawn, "width": 1.0, "fraction": [], "every": [0, 1]}


def _with_gaps(parts: Iterable[Any]) -> Series:
    """The coordinates of several lines as those of one with gaps."""
    joined = [[part, np.full((1, 2), np.nan)] for part in (np.asarray(p, float) for p in parts)]
    whole = np.concatenate([piece for pair in joined for piece in pair] or [np.empty((0, 2))])[:-1]
    return {"x": _plain(whole[:, 0]), "y": _plain(whole[:, 1])}


def _said(artist: Any) -> str:
    """An artist's label; "" for the names that matplotlib gives of its own."""
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else label


def _plain(values: Any) -> list[float | None]:
    """Plain numbers, None for one that is not finite or is masked."""
    values = np.ma.filled(np.ma.asarray(values, float), np.nan)
    return [float(value) if np.isfinite(value) else None for value in values]


def _name(panels: list[Chart]) -> None:
    """Names what has no label by what looks alike, and takes out what is drawn for legends only.

    A level or upright line through the whole panel that has no label is a guide, and has no name.

    A legend names a curve by its colour, and the kind of a curve (theory, without the worst
    prompts) by its stroke, in grey.
    """
    series = [one for panel in panels for one in panel["series"]]
    named = [one for one in series if one["name"]]
    for one in series:
        if not one["name"] and not one["fraction"]:
            one["name"] = ", ".join(_names_of(one, named)) or "not named"
    for panel in panels:
        panel["series"] = [one for one in panel["series"] if one["x"]]


def _names_of(one: Series, named: list[Series]) -> Iterator[str]:
    def stroke(series: Series) -> tuple[Any, ...]:
        return series["dash"], series["marker"], series["width"], "band" in series

    same = [other for other in named if other["colour"] == one["colour"]]
    alike = [other for other in same if stroke(other) == stroke(one)]
    kinds = [other for other in named if _is_grey(other["colour"]) and stroke(other) == stroke(one)]
    if alike:
        yield alike[0]["name"]
        return
    yield from (other["name"] for other in same[:1])
    yield from (other["name"] for other in kinds[:1])


def _is_grey(colour: str) -> bool:
    return colour[1:3] == colour[3:5] == colour[5:7]
