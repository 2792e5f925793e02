"""Planted slow-downs are found, planted noise is not; no test looks at real seconds."""

import json

import numpy as np
import pytest

from benchmarks import harness, regressions
from tests.helpers import table

TURNS = 20


def stored(*rows):
    """Rows as a file has them."""
    parsed = [{"name": "planted"} | json.loads(row.to_json()) for row in rows]
    return {(row["case"], row["metric"]): row for row in parsed}


def timed(rng, seconds, *, baseline=1.0, turns=TURNS, noise=0.15, unit="s", metric="ours"):
    """Both contestants in turns on a machine whose speed drifts by a factor of three.

    Neighbouring turns share the drift; each has noise of its own, lognormal as times are.
    """
    drift = np.exp(np.cumsum(rng.normal(size=turns)) * 0.25)
    own, theirs = (np.exp(noise * rng.normal(size=turns)) for _ in range(2))
    ours = seconds * drift * own
    against = baseline * drift * theirs
    if unit != "s":
        ours, against = 1.0 / ours, 1.0 / against
    return harness.Row(
        "c", metric, float(np.median(ours)), unit, float(np.median(against)),
        turns=tuple(ours), baseline_turns=tuple(against),
    )  # fmt: skip


def regressed(before, now, **settings):
    found = regressions.changes(stored(before), stored(now), same_machine=True, **settings)
    return [change.metric for change in found if change.regressed]


@table("turns, noise", [(5, 0.1), (5, 0.5), (20, 0.1), (20, 0.5)])
def test_planted_noise_is_no_regression(turns, noise):
    """One pair of runs is flagged rarely; a second look, as the run takes, leaves next to none."""
    rng = np.random.default_rng(0)
    pairs = 300
    first, twice = 0, 0
    for _ in range(pairs):
        before, now, again = (timed(rng, 1.0, turns=turns, noise=noise) for _ in range(3))
        found = bool(regressed(before, now))
        first += found
        twice += found and bool(regressed(before, again))
    assert first <= 4  # 0.4 % of 300 is 1.2: five or more have a probability below 1 %
    assert twice <= 1


@table("unit, turns", [("s", 5), ("s", 20), ("model-steps/s", 20)])
def test_a_planted_regression_is_found(unit, turns):
    """Half as slow again, in noise of 10 % a turn and a drifting machine."""
    rng = np.random.default_rng(1)
    found = sum(
        bool(
            regressed(
                timed(rng, 1.0, turns=turns, noise=0.05, unit=unit),
                timed(rng, 1.5, turns=turns, noise=0.05, unit=unit),
            )
        )
        for _ in range(100)
    )
    assert found >= 95
    assert not regressed(timed(rng, 1.5, unit=unit), timed(rng, 1.0, unit=unit))  # a speed-up


def plain(value, unit="s", **fields):
    return harness.Row("c", "m", value, unit, **fields)


@table(
    "before, now, worse",
    [
        (plain(1.0, turns=(1.0,) * 5), plain(1.2, turns=(1.2,) * 5), True),
        (plain(1.0, turns=(1.0,) * 5), plain(1.05, turns=(1.05,) * 5), False),  # in tolerance
        (plain(1.0, turns=(0.5, 1.0, 1.3)), plain(1.2, turns=(1.2,) * 3), False),  # in the spread
        (plain(1.0), plain(1.4), False),  # single seconds: five times the tolerance
        (plain(1.0), plain(1.6), True),
        (plain(1e6, "bytes"), plain(1.2e6, "bytes"), True),  # always the same: no spread needed
        (plain(1e6, "flop/s"), plain(0.8e6, "flop/s"), True),
        (plain(1e6, "flop/s"), plain(1.3e6, "flop/s"), False),
        (plain(1.0, "exponent"), plain(1.2, "exponent"), True),
        (plain(0.01, "exponent"), plain(0.05, "exponent"), False),  # a difference, not a ratio
        (plain(1.0), plain(9.0, judged=False), False),
        (plain(1.0), plain(None, note="not installed"), False),
        (plain(None), plain(9.0), False),
        (plain(1.0), plain(9.0, "bytes"), False),  # another unit
        (plain(0.0), plain(9.0), False),
    ],
)
def test_what_counts_as_worse(before, now, worse):
    assert bool(regressed(before, now)) is worse


def test_values_of_another_machine_are_not_compared_but_ratios_are():
    before = stored(plain(1.0), harness.Row("r", "m", 1.0, "s", 1.0))
    now = stored(plain(9.0), harness.Row("r", "m", 9.0, "s", 1.0))
    found = regressions.changes(before, now, same_machine=False)
    assert [change.case for change in found] == ["r"] and found[0].regressed
    assert str(found[0]) == "r: m: 1 -> 9 ratio, 9.00x worse"
    exponents = regressions.changes(
        stored(plain(1.0, "exponent")), stored(plain(1.25, "exponent")), same_machine=False
    )
    assert str(exponents[0]) == "c: m: 1 -> 1.25 exponent, +0.25 worse"


def test_tolerance():
    assert regressed(plain(1.0, "bytes"), plain(1.4, "bytes"), tolerance=0.5) == []
    with pytest.raises(ValueError, match="tolerance must be above 0, got nan"):
        regressed(plain(1.0), plain(1.0), tolerance=float("nan"))


def test_rows_that_vanished_are_named_if_their_benchmark_ran():
    before, gone = stored(plain(1.0)), ("c", "m")
    assert regressions.missing(before, {}, ["planted"]) == [gone]
    assert regressions.missing(before, {}, ["another"]) == []
    assert regressions.missing(before, before, ["planted"]) == []
