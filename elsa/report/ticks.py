"""Ticks of logarithmic axes: three or more, whatever the axis spans."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.ticker import Formatter, Locator

FEW_DECADES = 2.0  # up to here every tick is a plain number
_FEWEST, _MOST = 3, 6  # ticks of such an axis
_PARTS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0))  # of a decade
_CLOSE = 4.0  # factor between the ends of an axis, up to which even steps look even


def places(low: float, high: float) -> Float[np.ndarray, " ticks"]:
    """Ticks between low and high, both above 0, on an axis of few decades.

    The powers of ten, with 3 or with 2 and 5 between them, whatever gives the first 3 to 6; even
    steps where that leaves too few, or the axis spans less than a factor 4.
    """
    from matplotlib.ticker import MaxNLocator

    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for parts in _PARTS if high > _CLOSE * low else ():
        found = np.outer(powers, parts).ravel()
        inside: np.ndarray = found[(found >= low * (1 - 1e-9)) & (found <= high * (1 + 1e-9))]
        if _FEWEST <= len(inside) <= _MOST:
            return inside
    even = np.asarray(MaxNLocator(_MOST, steps=[1, 2, 5, 10]).tick_values(low, high))
    return np.asarray(even[(even >= low) & (even <= high)], np.float64)


def spans_little(low: float, high: float) -> bool:
    """Whether an axis from low to high has plain numbers: few decades, none far from 1."""
    decades = abs(np.log10(high / low)) if low > 0 and high > 0 else np.inf
    return bool(decades <= FEW_DECADES and min(low, high) >= 1e-3 and max(low, high) <= 1e5)


def logarithmic() -> tuple["Locator", "Formatter"]:
    """Major ticks of a logarithmic axis, chosen for what it spans when it is drawn, and texts.

    Plain numbers where it spans little, powers of ten elsewhere.
    """
    locator, formatter = _classes()
    return locator(), formatter()


@functools.cache
def _classes() -> tuple[type["Locator"], type["Formatter"]]:
    from matplotlib.ticker import Formatter, Locator, LogFormatterSciNotation, LogLocator

    class Logarithmic(Locator):
        def __init__(self) -> None:
            self._decades = LogLocator(numticks=_MOST + 1)

        def set_axis(self, axis: Any) -> None:
            super().set_axis(axis)
            self._decades.set_axis(axis)

        def __call__(self) -> Sequence[float]:
            assert self.axis is not None
            return self.tick_values(*self.axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
            low, high = min(vmin, vmax), max(vmin, vmax)
            if spans_little(low, high):
                return list(places(low, high))
            return list(self._decades.tick_values(low, high))

        def nonsingular(self, v0: float, v1: float) -> tuple[float, float]:
            return self._decades.nonsingular(v0, v1)

    class Plain(Formatter):
        def __init__(self) -> None:
            self._powers = LogFormatterSciNotation()

        def set_axis(self, axis: Any) -> None:
            super().set_axis(axis)
            self._powers.set_axis(axis)

        def __call__(self, x: float, pos: int | None = None) -> str:
            assert self.axis is not None
            if spans_little(*sorted(self.axis.get_view_interval())):
                return f"{x:.6g}"
            return self._powers(x, pos)

    return Logarithmic, Plain
