"""What a picture of matrices consists of: panels, maps, lines of text and colour bars."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from elsa.report import style

LEFT, RIGHT = 0.3, 0.06  # inches beside a panel, for its texts
EDGE = 0.05  # around a panel without ticks
LETTER = 0.062  # inches: a letter at the smallest size, at most


@dataclasses.dataclass(frozen=True)
class Axis:
    """The indices of one side of a matrix that are drawn, None for a gap, and what they count."""

    name: str
    shown: tuple[int | None, ...]
    starts: frozenset[int] = frozenset()  # where a new block begins

    @classmethod
    def of(
        cls,
        name: str,
        length: int,
        starts: Iterable[int] = (),
        longest: int = 6,
        used: Bool[np.ndarray, " length"] | None = None,
    ) -> "Axis":
        """Indices from 0 to length - 1, of each run between two starts at most `longest`.

        With `used` only the runs that have an index of it.
        """
        begins = sorted({0, *(start for start in starts if 0 < start < length)})
        shown: list[int | None] = []
        for first, stop in zip(begins, [*begins[1:], length], strict=True):
            if used is not None and not used[first:stop].any():
                shown += [None] if not shown or shown[-1] is not None else []
            elif stop - first <= longest:
                shown += range(first, stop)
            else:
                tail = (longest - 1) // 2
                shown += [
                    *range(first, first + longest - 1 - tail),
                    None,
                    *range(stop - tail, stop),
                ]
        return cls(name, tuple(shown), frozenset(begins))

    @property
    def is_cut(self) -> bool:
        return None in self.shown

    def span(self, indices: range) -> tuple[float, float]:
        """From where to where a range lies in the picture, in cells."""
        places = [place for place, index in enumerate(self.shown) if index in indices]
        return min(places) - 0.5, max(places) + 0.5

    def ticks(self, room: float, cell: float) -> list[int]:
        """Places of block starts and of the last index, those left out that would touch another."""
        wanted = [place for place, index in enumerate(self.shown) if index in self.starts]
        last = max(place for place, index in enumerate(self.shown) if index is not None)
        kept: list[int] = []
        for place in [*wanted, last]:
            if all(abs(place - other) * cell >= room for other in kept):
                kept.append(place)
        return kept


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One matrix with a title, and rectangles in it; `cell` is the inches of an entry."""

    title: str
    values: Float[np.ndarray, "rows columns"]
    rows: Axis
    columns: Axis
    outlines: Sequence[tuple[range, range]] = ()
    cell: float = 0.09
    has_ticks: bool = True

    @property
    def size(self) -> tuple[float, float]:
        """Inches across and down, less than asked for where the page is too narrow."""
        cell = min(self.cell, (style.WIDTH - self.left - RIGHT) / len(self.columns.shown))
        return len(self.columns.shown) * cell, len(self.rows.shown) * cell

    @property
    def left(self) -> float:
        return LEFT if self.has_ticks else EDGE

    def picture(self) -> Float[np.ndarray, "_rows _columns"]:
        """What is drawn: NaN in the gaps."""
        seen = np.full((len(self.rows.shown), len(self.columns.shown)), np.nan)
        down = [place for place, index in enumerate(self.rows.shown) if index is not None]
        across = [place for place, index in enumerate(self.columns.shown) if index is not None]
        rows = [index for index in self.rows.shown if index is not None]
        columns = [index for index in self.columns.shown if index is not None]
        seen[np.ix_(down, across)] = self.values[np.ix_(rows, columns)]
        return seen


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A line of text above what follows."""

    text: str
    bold: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """A colour bar for the panels above it, which share the scale, back to the last bar."""

    label: str
    linear_below: float  # linear up to here, logarithmic beyond; infinity for linear throughout


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """Where the blocks of a prompt lie, by name, across the page."""

    rows: Axis
    columns: Axis
    blocks: Sequence[tuple[str, range, range]]

    @property
    def height(self) -> float:
        return min(max(0.1 * len(self.rows.shown), 0.5), 0.9)


Item = Panel | Line | Scale | Map
