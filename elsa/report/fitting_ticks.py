"""Ticks of a linear axis with long numbers: as many as have room, and texts without an offset.

matplotlib's own assume that a text is three letters wide, and write what all numbers share apart.
"""

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.ticker import Formatter, Locator

_MOST = 6  # steps between ticks
_STEPS = [1, 2, 2.5, 5, 10]
_LETTER, _GAP, _LINE = 0.68, 1.0, 1.6  # a text's letter, the gap between texts, a line: in sizes
_SHORTER = 2  # letters that an exponent must save
_DIGITS = 15  # of a float, beyond which a text would show its rounding


def texts(places: Sequence[float]) -> list[str]:
    """The numbers with as many digits as their step needs: plain, or with one exponent for all.

    The exponent is a multiple of three, as in 2.5e6 or 40e-9, and there where that is shorter.
    """
    if not len(places):
        return []
    largest = max(abs(place) for place in places)
    step = min(np.diff(np.unique(places)), default=largest)
    if not largest or not np.isfinite([largest, step]).all():
        return [f"{place:g}" for place in places]
    last = max(int(np.floor(np.log10(step))) - 1, int(np.floor(np.log10(largest))) + 1 - _DIGITS)
    power = 3 * int(np.floor(np.log10(largest) / 3 + 1e-12))
    plain, short = (_all(places, last, shift) for shift in (0, power))
    return short if _longest(short) + _SHORTER <= _longest(plain) else plain


def _all(places: Sequence[float], last: int, power: int) -> list[str]:
    """Each number over 10^power, rounded at the digit 10^last, without zeros behind its point."""
    return [_text(place, last, power) for place in places]


def _text(place: float, last: int, power: int) -> str:
    number = f"{Decimal(float(place)).scaleb(-power):.{max(power - last, 0)}f}"
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    if float(number) == 0.0:
        return "0"
    return f"{number}e{power}" if power else number


def _longest(found: Sequence[str]) -> int:
    return max(map(len, found), default=0)


def linear() -> tuple["Locator", "Formatter"]:
    """Major ticks of a linear axis, chosen for its room when it is drawn, and their texts."""
    locator, formatter = _classes()
    return locator(), formatter()


def _room(axis: Any) -> tuple[float, float]:
    """Length of an axis, and size of its texts: in points."""
    box = axis.axes.get_window_extent()
    long = box.height if axis.axis_name == "y" else box.width
    return 72 * long / axis.axes.figure.dpi, axis.get_major_ticks(1)[0].label1.get_size()


@functools.cache
def _classes() -> tuple[type["Locator"], type["Formatter"]]:
    from matplotlib.ticker import Formatter, Locator, MaxNLocator

    class Linear(Locator):
        def __call__(self) -> Sequence[float]:
            assert self.axis is not None
            return self.tick_values(*self.axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
            low, high = min(vmin, vmax), max(vmin, vmax)
            room, size = _room(self.axis)
            for most in range(_MOST, 0, -1):
                found = np.asarray(MaxNLocator(most, steps=_STEPS).tick_values(low, high))
                ticks = found[(found >= low) & (found <= high)]
                gap = room * (ticks[1] - ticks[0]) / (high - low) if len(ticks) > 1 else np.inf
                if self._needed(ticks, size) <= gap:
                    return list(ticks.tolist())
            return [float(ticks[0])]  # two have no room

        def _needed(self, ticks: Any, size: float) -> float:
            axis: Any = self.axis
            if axis.axis_name == "y":
                return _LINE * size
            return size * (_LETTER * _longest(texts(ticks)) + _GAP)

        def nonsingular(self, v0: float, v1: float) -> tuple[float, float]:
            return MaxNLocator().nonsingular(v0, v1)

    class Short(Formatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            axis: Any = self.axis
            places = [*axis.get_majorticklocs()]
            return self.fix_minus(dict(zip(places, texts(places), strict=True)).get(x, f"{x:g}"))

        def format_ticks(self, values: Any) -> list[str]:
            return [self.fix_minus(text) for text in texts(values)]

    return Linear, Short
