"""Exponents of planted costs, and the sizes that they are measured at."""

import pytest

from benchmarks import growth
from tests.benchmarks.test_harness import Clock


def test_the_exponent_of_a_planted_cost_is_found():
    clock = Clock()
    planted = {"quadratic": 2.0, "linear": 1.0}
    series = {
        name: {size: clock.worker(name, [float(size) ** power]) for size in (10, 20, 80)}
        for name, power in planted.items()
    }
    limits = {"quadratic": 1.5}
    rows = list(growth.grow("c", "n", series, repeats=3, limits=limits, clock=clock))
    points, fits = rows[:-2], rows[-2:]
    assert [(row.series, row.at) for row in points] == [
        (name, size) for name in planted for size in (10.0, 20.0, 80.0)
    ]
    assert all(row.axis == "n" and len(row.turns) == 3 for row in rows)
    assert [row.value for row in fits] == pytest.approx([2.0, 1.0])
    assert [row.within_limit for row in fits] == [False, None]
    assert [row.judged for row in fits] == [True, False] and fits[0].unit == "exponent"


def test_sizes():
    assert growth.powers(1_000, 1_000_000, 10) == (1_000, 10_000, 100_000, 1_000_000)
    assert growth.powers(5, 100, 2) == (5, 10, 20, 40, 80)
    with pytest.raises(ValueError, match=r"two different values, got \[4, 4\]"):
        growth.exponent([4, 4], [1.0, 2.0])
