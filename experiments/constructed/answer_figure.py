"""Attention's answer about a table, drawn: its coefficients, and its predictions of unseen rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.base.counting import counted
from elsa.report import style
from experiments.constructed import short_names
from experiments.constructed.convergence_answer import SHOWN, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTERS = 22  # in a line of a column's name, beside which the axes have room
_LINE = 0.13  # inches: a line of a name


@style.applied(literal=True)
def figure(found: Mapping[str, Any]) -> "Figure":
    """Coefficients beside scikit-learn's, and below them predictions against the truth."""
    rows = _largest(found)
    short = short_names.apart(found["columns"], _LETTERS)
    names = [_name(short[j], found["coefficients"][j]) for j in rows]
    tallest = max(name.count("\n") + 1 for name in names)
    above = 1.1 + (_LINE * tallest + 0.02) * len(names)
    below = 2.5 if found["held_out"] else 0.0
    ratios: dict[str, Any] = {"height_ratios": [above, below]} if below else {}
    drawn, panels = style.figure(1 + bool(below), height=above + below, squeeze=False, **ratios)
    _coefficients(panels[0, 0], found, rows, names)
    if below:
        _predictions(panels[1, 0], found["target"], found["held_out"])
    style.legend_outside(drawn, panels[-1, 0], place="upper")
    return drawn


def _sizes(found: Mapping[str, Any], key: str) -> np.ndarray:
    """Each coefficient times its column's standard deviation: all in the label's unit."""
    sizes: np.ndarray = np.array(found[key]) * np.array(found["spreads"])
    return sizes


def _largest(found: Mapping[str, Any]) -> list[int]:
    """The columns that are shown, from the bottom up."""
    order = np.argsort(-np.abs(_sizes(found, "sklearn_coefficients")), kind="stable")
    return [int(column) for column in order[:SHOWN][::-1]]


def _coefficients(
    axes: "Axes", found: Mapping[str, Any], rows: list[int], names: list[str]
) -> None:
    places = np.arange(len(rows))
    with style.applied():
        axes.axvline(0.0, color="#999999", linewidth=0.6)
        axes.set_yticks(places, names)
        axes.set_ylim(-0.7, len(rows) - 0.3)
    style.linear(axes, "x")
    ours, theirs = (_sizes(found, key)[rows] for key in ("coefficients", "sklearn_coefficients"))
    _both(axes, (ours, places), (theirs, places))
    most = len(found["spreads"])
    more = f"\n(the largest {SHOWN} of {most})" if most > SHOWN else ""
    units = short_names.within(f"in units of {found['target']}", 34)
    style.finish(
        axes,
        x=f"coefficient × standard deviation,\n{units}",
        y="",
        title=f"coefficients  (beside the names\nin the table's units){more}",
        legend=False,
    )


def _predictions(axes: "Axes", target: str, held_out: Mapping[str, Any]) -> None:
    truth, ours, theirs = (
        np.array(held_out[key]) for key in ("truth", "prediction", "sklearn_prediction")
    )
    ends = np.array([min(truth.min(), ours.min()), max(truth.max(), ours.max())])
    style.theory(axes, ends, ends, label="prediction = truth", color="#999999")
    style.linear(axes, "x")
    style.linear(axes, "y")
    scores = [number(held_out[key]) for key in ("r2", "sklearn_r2")]
    _both(axes, (truth, ours), (truth, theirs))
    style.finish(
        axes,
        x=short_names.within(f"{target}, rows held out", 34),
        y=short_names.within(f"predicted {target}", 24),
        title="{} that {} not fitted:\nR² {}, scikit-learn {}".format(
            counted(len(truth), "row"), "were" if len(truth) > 1 else "was", *scores
        ),
        legend=False,
    )


def _both(
    axes: "Axes",
    ours: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
) -> None:
    """Attention's points as rings, scikit-learn's as dots, which lie inside where they agree."""
    rings: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5.0}
    style.measured(axes, *ours, name=0, label="attention", **rings)
    dots: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 4.0}
    style.theory(axes, *theirs, label="scikit-learn", **dots)


def _name(name: str, coefficient: float) -> str:
    """A column's short name, and behind it, two spaces apart, its coefficient."""
    size = _short(coefficient)
    *_, last = name.split("\n")
    return f"{name}  {size}" if len(last) + 2 + len(size) <= _LETTERS else f"{name}\n  {size}"


def _short(value: float) -> str:
    """Three digits, or all of those before the point: 41.5, 40,430."""
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e7 else f"{value:.3g}"
