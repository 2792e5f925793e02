"""The harness's logic, on a clock of our own; no test looks at real seconds."""

import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import harness


class Clock:
    """A clock that stands still until someone works."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def __call__(self):
        return self.now

    def worker(self, name, seconds):
        """Takes the seconds given, one after the other, the last one for ever."""
        times = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def work():
            self.log.append(name)
            self.now += next(times)
            return jnp.zeros(())

        return work


def test_contestants_take_turns_after_their_warm_up():
    clock = Clock()
    contestants = {"a": clock.worker("a", [1.0]), "b": clock.worker("b", [2.0])}
    seconds = harness.sample(contestants, repeats=3, warm_up=2, clock=clock)
    assert seconds == {"a": [1.0] * 3, "b": [2.0] * 3}
    assert clock.log == ["a"] * 3 + ["b"] * 3 + ["a", "b"] * 3  # one more call sets the turn


def test_the_first_calls_are_not_measured():
    clock = Clock()
    seconds = harness.sample({"a": clock.worker("a", [60.0, 1.0])}, repeats=2, clock=clock)
    assert seconds == {"a": [1.0, 1.0]}


def test_short_calls_are_repeated_within_a_turn_and_divided():
    clock = Clock()
    contestants = {"a": clock.worker("a", [0.25])}
    seconds = harness.sample(contestants, repeats=2, warm_up=1, min_seconds=1.0, clock=clock)
    assert seconds == {"a": [0.25, 0.25]}
    assert len(clock.log) == 1 + 1 + 2 * 4


def test_the_median_counts_and_the_baseline_comes_first():
    clock = Clock()
    contestants = {
        "ours": clock.worker("ours", [1.0, 1.0, 1.0, 1.0, 1.0, 90.0]),
        "theirs": clock.worker("theirs", [4.0]),
    }
    first, second = harness.compare("c", contestants, baseline="theirs", repeats=3, clock=clock)
    assert first == harness.Row("c", "time of theirs", 4.0, "s", None, judged=False)
    assert second == harness.Row("c", "time of ours against theirs", 1.0, "s", 4.0)
    assert first.ratio is None and second.ratio == 0.25


def test_a_row_is_one_line_of_json_with_fixed_keys():
    line = harness.Row("c", "m", 1.0, "s", 4.0).to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "case": "c", "metric": "m", "value": 1.0, "unit": "s", "baseline": 4.0, "ratio": 0.25,
        "low": None, "high": None, "spread": None, "turns": 0, "limit": None,
        "axis": "", "at": None, "series": "", "judged": True, "note": "",
    }  # fmt: skip
    assert list(json.loads(line))[:6] == ["case", "metric", "value", "unit", "baseline", "ratio"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        harness.Row("c", "m", float("nan"), "s").to_json()


@pytest.mark.parametrize(
    "settings, message",
    [({"repeats": 0}, "repeats must be at least 1, got 0"), ({"warm_up": 0}, "warm_up must be")],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        harness.sample({"a": lambda: None}, **settings)


def test_no_contestants_or_an_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match="contestants must not be empty"):
        harness.sample({})
    with pytest.raises(KeyError, match="baseline 'b' is none of"):
        list(harness.compare("c", {"a": lambda: None}, baseline="b"))


def test_a_ratio_is_the_median_of_the_turns_own():
    """A machine that is slow for two of three turns is slow for both contestants."""
    row = harness.Row("c", "m", 20.0, "s", 4.0, turns=(1.0, 20.0, 30.0), baseline_turns=(2, 4, 60))
    assert row.ratio == row.score == 0.5
    assert row.interval == (0.5, 5.0)
    alone = harness.Row("c", "m", 20.0, "s", turns=(1.0, 20.0, 30.0))
    assert alone.ratio is None and alone.score == 20.0 and alone.interval == (1.0, 30.0)
    assert alone.spread == pytest.approx((25.0 - 10.5) / 20.0)
    assert harness.Row("c", "m", None, "s", 4.0).score is None


def test_an_interval_holds_the_median_as_often_as_it_says():
    """Of normal turns, by the binomial distribution and by drawing them."""
    assert harness.median_interval([3.0]) == (3.0, 3.0)
    assert harness.median_interval([5.0, 1.0, 2.0, 3.0, 4.0]) == (1.0, 5.0)
    assert harness.median_interval(range(20)) == (5, 14)  # 95.9 %; (6, 13) is 88.5 %
    rng = np.random.default_rng(0)
    for n in (6, 9, 20, 41):
        ends = np.array([harness.median_interval(rng.normal(size=n)) for _ in range(2_000)])
        share = np.mean((ends[:, 0] <= 0.0) & (ends[:, 1] >= 0.0))
        assert share > 0.95 - 4 * (0.05 * 0.95 / 2_000) ** 0.5


def test_a_limit_is_kept_below_by_times_and_above_by_rates():
    assert harness.Row("c", "m", 2.0, "s", 1.0, limit=2.0).within_limit is True
    assert harness.Row("c", "m", 2.1, "s", 1.0, limit=2.0).within_limit is False
    assert harness.Row("c", "m", 2.1, "flop/s", 1.0, limit=2.0).within_limit is True
    assert harness.Row("c", "m", 1.9, "flop/s", 1.0, limit=2.0).within_limit is False
    assert harness.Row("c", "m", 1.9, "s", 1.0).within_limit is None
    assert harness.Row("c", "m", 1e-7, "relative", limit=1e-6).within_limit is True
    turns = {"turns": (1.9, 2.1, 2.2), "baseline_turns": (1.0,) * 3}
    assert harness.Row("c", "m", 2.1, "s", 1.0, limit=2.0, **turns).within_limit is None
    assert harness.Row("c", "m", 2.1, "s", 1.0, limit=1.5, **turns).within_limit is False
    clock = Clock()
    contestants = {name: clock.worker(name, [1.0]) for name in "abc"}
    rows = harness.compare("c", contestants, baseline="b", limit={"c": 2.0}, repeats=1, clock=clock)
    assert [(row.metric[8], row.limit) for row in rows] == [("b", None), ("a", None), ("c", 2.0)]
