"""Times contestants side by side; a measurement is a row, which is one JSON object a line.

Contestants take turns (A B A B ...), so that a machine that slows down slows all of them; the
median of the turns is what counts. The first calls compile and are thrown away.
"""

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

HIGHER_IS_BETTER = "/s"  # units that end so are rates


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the result.

    case: what was run, sizes included.
    metric: what was measured, and of whom.
    value, unit: the measurement; None where it could not be made, and `note` says why.
    baseline: the same measurement of what it is compared with; None where there is nothing.
    turns, baseline_turns: every turn's measurement, where there were turns; one of `turns` and the
      one of `baseline_turns` beside it saw the same machine.
    limit: what the ratio should not exceed, or the value where there is no baseline; for a rate,
      what it should reach.
    axis, at, series: the size that grows from row to row, how large it is here, and the curve of a
      figure that the row is a point of; without `at`, what was fitted to the curve.
    judged: whether `--compare` looks at the row; False for baselines and for what the machine does.
    note: what a reader should know.
    """

    case: str
    metric: str
    value: float | None
    unit: str
    baseline: float | None = None
    turns: tuple[float, ...] = dataclasses.field(default=(), compare=False, repr=False)
    baseline_turns: tuple[float, ...] = dataclasses.field(default=(), compare=False, repr=False)
    limit: float | None = None
    axis: str = ""
    at: float | None = None
    series: str = ""
    judged: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """value / baseline, turn by turn and then the median, so that a machine that slows down for
        a while slows both: below 1 is faster, or smaller, than the baseline."""
        if self.value is None or not self.baseline:
            return None
        return statistics.median(self._ratios) if self._ratios else self.value / self.baseline

    @property
    def score(self) -> float | None:
        """What is judged: the ratio where there is a baseline, else the value."""
        return self.value if self.baseline is None else self.ratio

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the score, as `median_interval`; None where there were no turns."""
        turns = self.turns if self.baseline is None else self._ratios
        return median_interval(turns) if turns else None

    @property
    def spread(self) -> float | None:
        """The middle half of the turns' measurements, as a share of their median."""
        if len(self.turns) < 2 or not self.value:
            return None
        low, _, high = statistics.quantiles(self.turns, n=4, method="inclusive")
        return (high - low) / self.value

    @property
    def higher_is_better(self) -> bool:
        """Whether the measurement is a rate."""
        return self.unit.endswith(HIGHER_IS_BETTER)

    @property
    def within_limit(self) -> bool | None:
        """Whether the score keeps to the limit; None where there is none, and in doubt: where the
        score does not, and its interval holds the limit."""
        if self.limit is None or self.score is None:
            return None
        if self.score >= self.limit if self.higher_is_better else self.score <= self.limit:
            return True
        low, high = self.interval or (self.score, self.score)
        return None if low <= self.limit <= high else False

    @property
    def _ratios(self) -> list[float]:
        if len(self.turns) != len(self.baseline_turns):
            return []
        return [a / b for a, b in zip(self.turns, self.baseline_turns, strict=True)]

    def to_json(self) -> str:
        """One line: case, metric, value, unit, baseline, ratio, then low and high of `interval`,
        turns (how many), spread, limit, axis, at, series, judged, note."""
        low, high = self.interval or (None, None)
        stored = dataclasses.asdict(self) | {"turns": len(self.turns)}
        del stored["baseline_turns"]
        first = {name: stored.pop(name) for name in ("case", "metric", "value", "unit", "baseline")}
        derived = {"ratio": self.ratio, "low": low, "high": high, "spread": self.spread}
        return json.dumps({**first, **derived, **stored}, allow_nan=False)


def median_interval(turns: Sequence[float]) -> tuple[float, float]:
    """The narrowest pair of equally extreme turns that holds the median of what the turns are drawn
    from with 95 % probability, whatever their distribution; the extremes where they are below six.

    The k-th smallest of n lies above the median with probability P(Binomial(n, 1/2) < k).
    """
    ordered, n = sorted(turns), len(turns)
    below, extreme = 0.0, 1
    for k in range(1, n // 2 + 1):
        below += math.comb(n, k - 1) / 2.0**n
        if 2.0 * below > 0.05:
            break
        extreme = k
    return ordered[extreme - 1], ordered[n - extreme]


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
    case: str,
    contestants: Mapping[str, Callable[[], Any]],
    *,
    baseline: str,
    limit: float | Mapping[str, float] | None = None,
    **settings: Any,
) -> Iterator[Row]:
    """A row with the median time of each contestant, the baseline first; settings as in `sample`.

    A limit is that of every ratio, or those by contestant.

    Raises:
      KeyError: if the baseline is not a contestant.
    """
    if baseline not in contestants:
        raise KeyError(f"compare: baseline {baseline!r} is none of {sorted(contestants)}")
    turns = {name: tuple(seconds) for name, seconds in sample(contestants, **settings).items()}
    medians = {name: statistics.median(seconds) for name, seconds in turns.items()}
    first = medians[baseline]
    yield Row(case, f"time of {baseline}", first, "s", turns=turns[baseline], judged=False)
    for name in turns:
        if name != baseline:
            yield Row(
                case,
                f"time of {name} against {baseline}",
                medians[name],
                "s",
                first,
                turns=turns[name],
                baseline_turns=turns[baseline],
                limit=limit.get(name) if isinstance(limit, Mapping) else limit,
            )
