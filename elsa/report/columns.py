"""Where the parts of a picture lie: left to right and top to bottom on a page one column wide."""

from collections.abc import Sequence

from elsa.report import style
from elsa.report.panels import EDGE, LEFT, RIGHT, Item, Line, Map, Panel

_TOP, _BOTTOM = 0.17, 0.18  # inches above and below a panel, for its texts
_LINE = 0.15  # inches: a line of text
_BAR = 0.09  # inches: height of a colour bar
_TITLE = 0.052  # inches: a letter of a title at the smallest size, whose letters are known


def placed(items: Sequence[Item]) -> tuple[list[tuple[float, float, float, float]], float]:
    """Left, top, width and height of everything in inches, and the height of the page."""
    places = []
    top, across, tallest = 0.04, 0.0, 0.0  # of the current row of panels
    for item in items:
        if isinstance(item, Panel):
            wide, high = item.size
            outer = max(item.left + wide + EDGE, _TITLE * len(item.title))
            if across and across + outer > style.WIDTH:
                top, across, tallest = top + tallest, 0.0, 0.0
            places.append((across + item.left, top + _TOP, wide, high))
            below = _BOTTOM if item.has_ticks else EDGE
            across, tallest = across + outer, max(tallest, _TOP + high + below)
            continue
        top, across, tallest = top + tallest, 0.0, 0.0
        if isinstance(item, Line):
            places.append((0.04, top + 0.02, style.WIDTH, _LINE))
            top += _LINE + 0.02
        elif isinstance(item, Map):
            places.append((LEFT, top + 0.05, style.WIDTH - LEFT - RIGHT, item.height))
            top += item.height + 0.05 + _BOTTOM
        else:
            places.append((LEFT, top + 0.04, style.WIDTH - 2 * LEFT, _BAR))
            top += _BAR + 2.4 * _LINE
    return places, top + tallest + 0.02
