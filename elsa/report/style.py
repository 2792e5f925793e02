"""One look for every figure: 85 mm wide, colour-blind safe, measured solid, theory dotted.

    figure, axes = style.figure(height=2.2)
    style.measured(axes, depths, errors, name="ridge_lsa")
    style.theory(axes, depths, bounds, label="theory")
    style.finish(axes, x="depth T (steps)", y="relative distance to ridge")

Figures are plain `matplotlib.figure.Figure` objects: no pyplot, no window, no global state. What
draws or saves outside these functions does so inside `with style.applied():`.
"""

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jax.typing import ArrayLike
from jaxtyping import Real

from elsa.base.arrays import Numbers
from elsa.report import fitting_ticks, legends, ticks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 85 / 25.4  # inches: one column of a printed page
FONT_SIZE, SMALL = 8.0, 7.0  # points at that width; nothing is smaller
# Okabe and Ito's palette, which readers with any colour vision tell apart, without its yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
THEORY = "#1A1A1A"
# What appears in several figures has one colour and one marker in all of them.
_SERIES = {
    "ridge_lsa": (PALETTE[0], "o"),
    "ridge_lsa_state": (PALETTE[4], "v"),
    "ridge_elsa": (PALETTE[1], "s"),
    "ridge_elsa_one_layer": (PALETTE[2], "^"),
    "gradient_descent": (PALETTE[3], "D"),
    "heavy_ball": (PALETTE[4], "v"),
    "chebyshev": (PALETTE[5], "P"),
    "newton_schulz": (PALETTE[0], "o"),
    "linear_attention": (PALETTE[0], "o"),
    "merged_attention": (PALETTE[0], "o"),
    "low_rank_attention": (PALETTE[0], "o"),
    "lora_attention": (PALETTE[0], "o"),
    "linear_transformer": (PALETTE[0], "o"),
    "linear_transformer_block": (PALETTE[1], "s"),
    "block_lsa": (PALETTE[0], "o"),
    "block_elsa": (PALETTE[1], "s"),
    "h3": (PALETTE[1], "s"),
    "merged_h3": (PALETTE[1], "s"),
    "softmax_attention": (PALETTE[2], "^"),
    "gpt2": (PALETTE[3], "D"),
}
_MARKERS = "osD^vPX"
RC: dict[Any, Any] = {
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": FONT_SIZE,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.labelspacing": 0.3,
    "legend.columnspacing": 1.2,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "svg.fonttype": "none",  # text stays text: searchable, and in the reader's font
    "image.interpolation": "nearest",
}


@contextlib.contextmanager
def applied(*, literal: bool = False) -> Iterator[None]:
    """The style, for what is drawn or saved in the `with` block; nothing of it stays behind.

    Args:
      literal: a dollar sign is one, and begins no formula: for texts that a user gave.
    """
    import matplotlib

    with matplotlib.rc_context({**RC, "text.parse_math": False} if literal else RC):
        yield


def figure(
    rows: int = 1,
    cols: int = 1,
    *,
    height: float = 2.2,
    width: float = WIDTH,
    **subplots: Any,
) -> tuple["Figure", Any]:
    """An empty figure in the style, and its axes as `Figure.subplots` gives them.

    Args:
      rows, cols: of the grid of axes; one axes object where both are 1, else an array of them.
      height, width: in inches.
      **subplots: sharex, sharey, squeeze, height_ratios and so on, for `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    with applied():
        drawn = Figure(figsize=(width, height), layout="constrained")
        return drawn, drawn.subplots(rows, cols, **subplots)


def colour(name: str | int) -> str:
    """The colour of a construction, algorithm or model by name, or of the i-th of anything else.

    A name without a look of its own in this file has one that follows from its letters.
    """
    return PALETTE[name % len(PALETTE)] if isinstance(name, int) else _look(name)[0]


def marker(name: str | int) -> str:
    """The marker that goes with `colour`."""
    return _MARKERS[name % len(_MARKERS)] if isinstance(name, int) else _look(name)[1]


def _look(name: str) -> tuple[str, str]:
    drawn = zlib.crc32(name.encode())  # the same in every process
    return _SERIES.get(name, (colour(drawn), marker(drawn // len(PALETTE))))


def measured(
    axes: "Axes",
    x: Real[ArrayLike, " points"] | Numbers,
    y: Real[ArrayLike, " points"] | Numbers,
    *,
    name: str | int,
    label: str | None = None,
    error: Real[ArrayLike, " points"] | Numbers | None = None,
    **line: Any,
) -> "Artist":
    """A solid line with the colour and marker of `name`, by default also its label.

    Curves that coincide stay visible if their markers differ in place: pass `markevery`. With
    `error` every marker carries a bar of plus and minus that much.
    """
    with applied():
        look = {
            "color": colour(name),
            "marker": marker(name),
            "markerfacecolor": "white",
            "linestyle": "-",
        }
        shown = label if label is not None or isinstance(name, int) else name.replace("_", " ")
        if error is not None:
            bars = {"yerr": error, "capsize": 1.5, "elinewidth": 0.8}
            artist: Artist = axes.errorbar(x, y, **{**look, "label": shown, **bars, **line})[0]
            return artist
        return axes.plot(x, y, **{**look, "label": shown, **line})[0]


def theory(
    axes: "Axes",
    x: Real[ArrayLike, " points"] | Numbers,
    y: Real[ArrayLike, " points"] | Numbers,
    *,
    label: str | None = "theory",
    **line: Any,
) -> "Artist":
    """A dotted dark line above what was measured."""
    with applied():
        look = {"color": THEORY, "linestyle": ":", "zorder": 5, "label": label}
        return axes.plot(x, y, **{**look, **line})[0]


def finish(
    axes: "Axes",
    *,
    x: str,
    y: str,
    title: str | None = None,
    legend: bool | dict[str, Any] = True,
) -> None:
    """Labels of both axes, with their units, title and legend.

    Args:
      axes: where.
      x, y: labels of the axes, units in parentheses.
      title: above the axes, left.
      legend: False for none, a dict for the options of `Axes.legend`.
    """
    with applied():
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if title is not None:
            axes.set_title(title, loc="left")
        if legend is not False:
            axes.legend(
                handler_map=legends.handlers(), **(legend if isinstance(legend, dict) else {})
            )


def logarithmic(axes: "Axes", side: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis with three ticks or more, plain numbers where it spans two decades."""
    from matplotlib.ticker import NullLocator

    axis = axes.yaxis if side == "y" else axes.xaxis
    axes.set(**{f"{side}scale": "log"})
    locator, formatter = ticks.logarithmic()
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)
    axis.set_minor_locator(NullLocator())


def linear(axes: "Axes", side: Literal["x", "y"] = "y") -> None:
    """As many ticks as have room, whatever the numbers' length, and no offset beside the axis."""
    axis = axes.yaxis if side == "y" else axes.xaxis
    locator, formatter = fitting_ticks.linear()
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)


def kind(axes: "Axes", label: str, colours: Sequence[str], **line: Any) -> None:
    """A legend entry for curves of several colours that share a stroke, shown in these colours.

    Args:
      axes: where such curves are; they have no label of their own.
      label: what the stroke means.
      colours: of the curves; the sample has the first three, and is dark for more than six.
      **line: the stroke, as for `Axes.plot`; dotted, as theory, by default.
    """
    each = list(dict.fromkeys(colours))
    shown = [THEORY] if not each or len(each) > len(PALETTE) else each[:3]
    with applied():
        look = {"linestyle": ":", "color": THEORY, "label": label, **line}
        axes.add_line(legends.kind(shown, **look))


def bars(axes: "Axes", label: str = r"$\pm$ standard error") -> None:
    """A legend entry for the bars of error of all curves: what they span."""
    with applied():
        axes.errorbar(
            *([], []), yerr=[], fmt="none", ecolor=THEORY, elinewidth=0.8, capsize=1.5, label=label
        )


def legend_outside(
    figure: "Figure",
    *axes: "Axes",
    place: Literal["lower", "upper"] = "lower",
    columns: int = 2,
    last: str | None = None,
) -> None:
    """One legend for several panels, above or below them all, so that it hides nothing.

    Args:
      figure: where.
      *axes: whose labels it lists, each label once; all axes of the figure where there are none.
      place: "lower" or "upper".
      columns: of the legend, fewer where they would be wider than the figure.
      last: a label that comes after all others.
    """
    entries: dict[Any, Any] = {}
    for panel in axes or figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if last is not None:
        entries[last] = entries.pop(last)
    options: dict[str, Any] = {"loc": f"outside {place} center", "handler_map": legends.handlers()}
    with applied():
        room = 72 * float(figure.get_figwidth())
        options["ncols"] = legends.columns_that_fit([*entries], columns, room, SMALL)
        figure.legend(list(entries.values()), list(entries), **options)
