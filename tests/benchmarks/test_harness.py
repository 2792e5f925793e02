"""The harness's logic, on a clock of our own; no test looks at real seconds."""

import itertools
import json

import jax.numpy as jnp
import pytest

from benchmarks import compiled_stack, harness, run


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
    assert first == harness.Row("c", "time of theirs", 4.0, "s", None)
    assert second == harness.Row("c", "time of ours against theirs", 1.0, "s", 4.0)
    assert first.ratio is None and second.ratio == 0.25


def test_a_row_is_one_line_of_json_with_fixed_keys():
    line = harness.Row("c", "m", 1.0, "s", 4.0).to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "case": "c", "metric": "m", "value": 1.0, "unit": "s", "baseline": 4.0, "ratio": 0.25
    }  # fmt: skip
    assert list(json.loads(line)) == ["case", "metric", "value", "unit", "baseline", "ratio"]
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


# two minutes of training: its rows are looked at by `make test-slow`
CASES = [
    pytest.param(case, marks=pytest.mark.slow) if case == "training" else case for case in run.CASES
]


@pytest.mark.parametrize("case", CASES)
def test_every_case_yields_rows(case, capsys, monkeypatch):
    monkeypatch.setattr(compiled_stack, "TASKS", 4)  # of 64, which take seconds
    assert run.main([f"--case={case}", "--repeats=1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows and all(row["value"] > 0 for row in rows)
    assert any(row["ratio"] for row in rows)


def test_an_unknown_case_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        run.main(["--case=none"])
    assert "choose from" in capsys.readouterr().err
