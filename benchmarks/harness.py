"""Times contestants side by side and writes one JSON object a line.

Contestants take turns (A B A B ...), so that a machine that slows down slows all of them; the
median of the turns is what counts. The first calls compile and are thrown away.
"""

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the result.

    case: what was run, sizes included.
    metric: what was measured, and of whom.
    value, unit: the measurement.
    baseline: the same measurement of what it is compared with; None where there is nothing.
    """

    case: str
    metric: str
    value: float
    unit: str
    baseline: float | None = None

    @property
    def ratio(self) -> float | None:
        """value / baseline: below 1 is faster, or smaller, than the baseline."""
        return self.value / self.baseline if self.baseline else None

    def to_json(self) -> str:
        """One line with the keys case, metric, value, unit, baseline, ratio."""
        return json.dumps({**dataclasses.asdict(self), "ratio": self.ratio}, allow_nan=False)


def sample(
    contestants: Mapping[str, Callable[[], Any]],
    *,
    repeats: int = 15,
    warm_up: int = 2,
    min_seconds: float = 0.005,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds a call takes, `repeats` times for each contestant, the contestants taking turns.

    A turn is as many calls as take `min_seconds`, so that the clock's own grain does not matter;
    every call is waited for.

    Args:
      contestants: name -> function of nothing; it may return arrays that are still being computed.
      repeats, warm_up: turns that are measured, and calls before them.
      min_seconds: least length of a turn.
      clock: seconds since any moment.

    Raises:
      ValueError: if there are no contestants, repeats < 1 or warm_up < 1.
    """
    if not contestants:
        raise ValueError("sample: contestants must not be empty")
    for name, number in (("repeats", repeats), ("warm_up", warm_up)):
        if number < 1:
            raise ValueError(f"sample: {name} must be at least 1, got {number}")

    def turn(function: Callable[[], Any], calls: int) -> float:
        start = clock()
        for _ in range(calls):
            jax.block_until_ready(function())
        return (clock() - start) / calls

    calls = {}
    for name, function in contestants.items():
        turn(function, warm_up)
        seconds = max(turn(function, 1), 1e-9)  # a clock too coarse for one call says 0
        calls[name] = max(1, math.ceil(min_seconds / seconds))
    seconds_of: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, function in contestants.items():
            seconds_of[name].append(turn(function, calls[name]))
    return seconds_of


def compare(
    case: str, contestants: Mapping[str, Callable[[], Any]], *, baseline: str, **settings: Any
) -> Iterator[Row]:
    """A row with the median time of each contestant, the baseline first; settings as in `sample`.

    Raises:
      KeyError: if the baseline is not a contestant.
    """
    if baseline not in contestants:
        raise KeyError(f"compare: baseline {baseline!r} is none of {sorted(contestants)}")
    medians = {n: statistics.median(s) for n, s in sample(contestants, **settings).items()}
    for name in sorted(medians, key=lambda name: name != baseline):
        metric = f"time of {name}" + (f" against {baseline}" if name != baseline else "")
        yield Row(case, metric, medians[name], "s", None if name == baseline else medians[baseline])
