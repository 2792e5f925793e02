import itertools
from collections import Counter

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers


@table("pairs, values", [(1, 1), (1, 5), (4, 1), (2, 2), (3, 4), (5, 3), (4, 8)])
def test_it_is_the_mean_over_all_sequences_of_values(pairs, values):
    every = itertools.product(range(values), repeat=pairs)
    most = [max(Counter(sequence).values()) for sequence in every]
    expected = sum(most) / len(most) / pairs
    found = theory.recall_without_positions(num_pairs=pairs, num_values=values)
    assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("pairs, values", [(4, 8), (8, 16), (30, 5)])
def test_the_best_guess_from_a_bag_is_right_as_often(pairs, values):
    rng, samples = np.random.default_rng(0), 20_000
    drawn = rng.integers(values, size=(samples, pairs))
    counts = (drawn[:, :, None] == np.arange(values)).sum(axis=1)
    right = counts.argmax(axis=1) == drawn[np.arange(samples), rng.integers(pairs, size=samples)]
    exact = theory.recall_without_positions(num_pairs=pairs, num_values=values)
    helpers.assert_within_four_errors((right.mean(), right.std(ddof=1) / samples**0.5), exact)


def test_many_values_leave_one_in_so_many_pairs():
    assert theory.recall_without_positions(num_pairs=5, num_values=10**6) == pytest.approx(
        0.2, rel=1e-5
    )
    assert theory.recall_without_positions(num_pairs=300, num_values=1) == pytest.approx(1.0)


@table(
    "given, error, message",
    [
        ({"num_pairs": 0}, ValueError, "num_pairs must be at least 1"),
        ({"num_values": 0}, ValueError, "num_values must be at least 1"),
        ({"num_values": 2.0}, TypeError, "num_values must be an integer"),
    ],
)
def test_bad_arguments(given, error, message):
    with pytest.raises(error, match=f"recall_without_positions: {message}"):
        theory.recall_without_positions(**({"num_pairs": 2, "num_values": 2} | given))
