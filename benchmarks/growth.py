"""How a cost grows with one size: times at several sizes, and the exponent fitted to them."""

import functools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Row, sample
from benchmarks.regressions import EXPONENT

Calls = Mapping[int, Callable[[], Any]]  # size -> what is timed at that size


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope b of the least-squares line log seconds = a + b log size.

    Raises:
      ValueError: for fewer than two different sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"exponent: sizes must have two different values, got {list(sizes)}")
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def grow(
    case: str,
    axis: str,
    series: Mapping[str, Calls],
    *,
    repeats: int,
    limits: Mapping[str, float] | None = None,
    **settings: Any,
) -> Iterator[Row]:
    """A row for each size of each series, then the exponent of each series.

    All sizes of all series take turns, and every turn has exponents of its own.

    Args:
      case: what grows.
      axis: the size's name, a key of the figure's labels.
      series: name -> size -> function of nothing, two sizes or more.
      repeats: turns.
      limits: of exponents, by series; the first series alone is judged.
      **settings: of `sample`.
    """
    calls = {(name, size): call for name, own in series.items() for size, call in own.items()}
    labels = {key: f"{key[0]} at {axis}={key[1]}" for key in calls}
    named = {labels[key]: call for key, call in calls.items()}
    seconds = sample(named, repeats=repeats, **settings)
    first = next(iter(series))
    for name, size in calls:
        label = labels[name, size]
        turns = tuple(seconds[label])
        yield Row(
            case,
            f"time of {label}",
            statistics.median(turns),
            "s",
            turns=turns,
            axis=axis,
            at=float(size),
            series=name,
            judged=name == first,
        )
    for name, own in series.items():
        of_turns = zip(*(seconds[labels[name, size]] for size in own), strict=True)
        slopes = tuple(exponent(list(own), turn) for turn in of_turns)
        yield Row(
            case,
            f"exponent of {name} in {axis}",
            statistics.median(slopes),
            EXPONENT,
            turns=slopes,
            limit=(limits or {}).get(name),
            axis=axis,
            series=name,
            judged=name == first,
        )


def powers(first: int, last: int, factor: int) -> tuple[int, ...]:
    """first, first * factor, ..., up to last."""
    steps = math.floor(math.log(last / first, factor) + 1e-9)
    return tuple(first * factor**step for step in range(steps + 1))


def at_each(sizes: Sequence[int], make: Callable[[int], Callable[..., Any]]) -> Calls:
    """What `make` gives for every size."""
    return {size: functools.partial(make(size)) for size in sizes}
