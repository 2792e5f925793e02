"""Points of a sweep that were lost: which they are, and their crosses at the figure's edges."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from elsa.report import style
from experiments.harness import sweep_axes
from experiments.harness.marks import Mark, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lines = Sequence[tuple[int, Sequence[tuple[float, Mark]]]]  # number of a colour, marks along x
LOST = "diverged or failed"
_ABSURD = 1e6  # times what a sound number can be near
_FEW = 3  # values that the legend lists
_NEAR = 10.0  # a factor along x that is never far


def told_apart(
    marks: Sequence[Mark], places: Sequence[float], *, numeric: bool
) -> tuple[list[Mark], list[float]]:
    """The marks without the numbers of lost points, and places, infinite where they are far off.

    A point is lost that has no number, or one of more than 1e6 times the largest of 1 (labels have
    a variance of about 1 or more, a relative error is 1 where nothing was found), of all that
    theory says, and of the smallest number of the sweep (where labels are large): it is that of a
    model that has diverged, if not to the last digit. Where a robust number stands beside it, that
    one is asked: single samples that make up a mean are no divergence.

    A lost point is far off along x where it is further from all sound points than these span, and
    than a factor of ten: an axis that reached it would show nothing else.

    Args:
      marks: the records.
      places: of the marks, along x.
      numeric: whether places are numbers of the sweep, and not names in a row.
    """
    asked = [mark.mean if mark.robust is None else mark.robust for mark in marks]
    smallest = min((number for number in asked if number is not None), default=0.0)
    targets = [mark.target for mark in marks if mark.target is not None]
    most = _ABSURD * max([1.0, smallest, *targets])
    lost = [m.mean is None or (n or 0.0) > most for n, m in zip(asked, marks, strict=True)]
    without = [
        dataclasses.replace(mark, mean=None, error=None, robust=None) if is_lost else mark
        for mark, is_lost in zip(marks, lost, strict=True)
    ]
    sound = [place for place, is_lost in zip(places, lost, strict=True) if not is_lost]
    if not numeric or not sound:
        return without, list(places)
    low, high = _reach(min(sound), max(sound))
    moved = [
        place if low <= place <= high or not is_lost else math.copysign(math.inf, place - low)
        for place, is_lost in zip(places, lost, strict=True)
    ]
    return [
        mark if math.isfinite(place) else dataclasses.replace(mark, target=None)
        for mark, place in zip(without, moved, strict=True)
    ], moved


def _reach(first: float, last: float) -> tuple[float, float]:
    """How far lost points may lie from the sound ones, between first and last."""
    if first > 0:
        factor = max(last / first, _NEAR)
        return first / factor, last * factor
    span = max(last - first, (_NEAR - 1) * max(abs(first), abs(last)), _NEAR)
    return first - span, last + span


def crosses(axes: "Axes", lines: Lines, top: float, main: str, x: str) -> None:
    """At the upper end of the axis, crosses where nothing was found and arrows where too much was.

    Crosses of points far off along x stand at the side, and the legend says where they are. Each
    colour has a height of its own, and the legend's entries are dark.

    Args:
      axes: to draw on.
      lines: the marks of each colour, places infinite where they are far off.
      top: end of the axis.
      main: what the numbers are called.
      x: the column along x.
    """
    said: dict[str, str] = {}
    far = list(_far(lines, x))
    for number, own in lines:
        height = 0.98 - 0.05 * number
        for marker, label, places in (
            ("x", lost_label(x, far), [place for place, mark in own if mark.mean is None]),
            ("^", f"{main} above the axis", [p for p, m in own if m.mean and m.mean > top]),
        ):
            if places:
                said[marker] = label
                at_end(axes, places, style.colour(number), marker, height)
    for marker, label in said.items():
        at_end(axes, [], style.THEORY, marker, label=label)


def lost_label(x: str, far: Sequence[float]) -> str:
    """The legend's entry of crosses, with the values that are far off along x."""
    values = sweep_axes.each(far)
    if not values:
        return LOST
    few = values if len(values) <= _FEW else [values[0], "..", values[-1]]
    return f"{LOST}\n(at the side: {sweep_axes.words(x)} {', '.join(map(text_of, few))})"


def _far(lines: Lines, x: str) -> Iterator[float]:
    """The values along x of marks that are far off."""
    for _, own in lines:
        for place, mark in own:
            if math.isinf(place):
                yield mark.values[x]


def at_end(
    axes: "Axes",
    places: Sequence[float],
    colour: str,
    marker: str,
    height: float = 0.98,
    *,
    label: str | None = None,
) -> None:
    """Markers at a share of the axis' height, at a side where a place is infinite.

    With no places the entry of the legend alone.
    """
    near = [place for place in places if math.isfinite(place)]
    sides = [float(place > 0) for place in places if math.isinf(place)]
    with style.applied():
        (drawn,) = axes.plot([], [], marker, color=colour, label=label)
        if near:
            drawn.set_transform(axes.get_xaxis_transform())
            drawn.set_data(near, [height] * len(near))
            axes.update_datalim([(place, 0.0) for place in near], updatey=False)
        if sides:
            (beside,) = axes.plot([], [], marker, color=colour, clip_on=False)
            beside.set_transform(axes.transAxes)
            beside.set_data(sides, [height] * len(sides))
