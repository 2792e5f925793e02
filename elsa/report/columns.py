"""Where the parts of a picture lie: left to right and top to bottom, in columns of 85 mm."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

from elsa.report import style
from elsa.report.panels import EDGE, LEFT, RIGHT, Item, Line, Map, Panel

PAGE = 220 / 25.4  # inches: what is higher is set in columns
_TOP, _BOTTOM = 0.17, 0.18  # inches above and below a panel, for its texts
_MARGIN = 0.04  # inches above the first item
_LINE = 0.15  # inches: a line of text
_BAR = 0.09  # inches: height of a colour bar
_TITLE = 0.052  # inches: a letter of a title at the smallest size, whose letters are known

Place = tuple[float, float, float, float]  # left, top, width and height in inches


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where every item lies, and the inches of the page across and down."""

    places: tuple[Place, ...]
    width: float
    height: float


def layout(items: Sequence[Item]) -> Layout:
    """One column, or as many as make a page that would be higher than 220 mm about square.

    A column ends above a line of text, and never between lines or between a line and its panels.
    """
    parts = list(_parts(items))
    columns = [parts]
    whole = sum(part.height for part in parts)
    if whole > PAGE:
        count = math.ceil(math.sqrt(whole / style.WIDTH))
        columns = _balanced(parts, count)
    places: list[Place] = []
    height = 0.0
    for number, column in enumerate(columns):
        top = _MARGIN
        for part in column:
            places += [
                (number * style.WIDTH + left, top + below, wide, high)
                for left, below, wide, high in part.places
            ]
            top += part.height
        height = max(height, top + 0.02)
    return Layout(tuple(places), len(columns) * style.WIDTH, height)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Items that stay together, their places below the part's top, and its height."""

    places: list[Place]
    height: float


def _balanced(parts: Sequence[_Part], count: int) -> list[list[_Part]]:
    """At most `count` columns, the highest as low as it can be, to a line of text."""
    height = sum(part.height for part in parts) / count
    while len(columns := _split(parts, height)) > count:
        height += _LINE
    return columns


def _split(parts: Sequence[_Part], height: float) -> list[list[_Part]]:
    """Columns of at most this height, but for a part that is higher itself."""
    columns: list[list[_Part]] = [[]]
    filled = 0.0
    for part in parts:
        if columns[-1] and filled + part.height > height:
            columns.append([])
            filled = 0.0
        columns[-1].append(part)
        filled += part.height
    return columns


def _parts(items: Sequence[Item]) -> Iterator[_Part]:
    """Lines of text with what follows them, up to the next line."""
    start = 0
    for index, item in enumerate(items):
        if index and isinstance(item, Line) and not isinstance(items[index - 1], Line):
            yield _stacked(items[start:index])
            start = index
    yield _stacked(items[start:])


def _stacked(items: Sequence[Item]) -> _Part:
    """Everything from the top down; panels side by side while they fit."""
    places: list[Place] = []
    top, across, tallest = 0.0, 0.0, 0.0  # of the current row of panels
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
    return _Part(places, top + tallest)
