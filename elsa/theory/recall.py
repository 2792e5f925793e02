"""Associative recall by a stack that cannot tell positions apart.

Derivations: docs/theory.md.
"""

import math

import numpy as np

from elsa.base import checks


def recall_without_positions(*, num_pairs: int, num_values: int) -> float:
    """The best accuracy of recall from a bag of tokens: E[largest multiplicity of a value] / pairs.

    A prompt holds `num_pairs` keys, each followed by a value drawn independently and uniformly out
    of `num_values`, and asks for the value behind one of the keys. An attention stack without
    positions or biases is equivariant under permutations of the tokens, so that its answer is that
    to the bag of tokens, in which every value that occurs may follow every key: the best guess is
    the most frequent one. With p pairs and v values

        P(no value more than k times) = P(N_1 .. N_v <= k | N_1 + .. + N_v = p)

    for independent Poisson numbers N of mean p / v: a convolution of positive numbers.

    Args:
      num_pairs, num_values: p and v.

    Raises:
      ValueError: for a number below 1. TypeError: for one that is no integer.
    """
    where = "recall_without_positions"
    checks.size(where, num_pairs=(num_pairs, 1), num_values=(num_values, 1))
    pairs, values = int(num_pairs), int(num_values)
    counts = np.arange(pairs + 1)
    log_factorials = np.array([math.lgamma(count + 1.0) for count in counts])
    mean = pairs / values
    of_one = np.exp(counts * math.log(mean) - mean - log_factorials)
    of_all = math.exp(pairs * math.log(pairs) - pairs - log_factorials[pairs])
    below = sum(
        _power(np.where(counts <= most, of_one, 0.0), values)[pairs] for most in range(pairs)
    )
    return float(pairs - below / of_all) / pairs  # E[max] = sum_k P(max > k)


def _power(series: np.ndarray, exponent: int) -> np.ndarray:
    """A power of a polynomial, by squaring, with as many terms as it has."""
    power = np.zeros_like(series)
    power[0] = 1.0
    while exponent:
        if exponent % 2:
            power = np.convolve(power, series)[: series.size]
        series = np.convolve(series, series)[: series.size]
        exponent //= 2
    return power
