"""Associative recall by a stack that cannot tell positions apart.

Derivations: docs/theory.md.
"""

import math
from fractions import Fraction

from elsa.base import checks


def recall_without_positions(*, num_pairs: int, num_values: int) -> float:
    """The best accuracy of recall from a bag of tokens: E[largest multiplicity of a value] / pairs.

    A prompt holds `num_pairs` keys, each followed by a value drawn independently and uniformly out
    of `num_values`, and asks for the value behind one of the keys. An attention stack without
    positions or biases is equivariant under permutations of the tokens, so that its answer is that
    to the bag of tokens, in which every value that occurs may follow every key: the best guess is
    the most frequent one. With p pairs and v values

        P(no value more than k times) = p! / v^p [z^p] (sum_{j <= k} z^j / j!)^v

    computed in integers.

    Args:
      num_pairs, num_values: p and v.

    Raises:
      ValueError: for a number below 1. TypeError: for one that is no integer.
    """
    where = "recall_without_positions"
    checks.size(where, num_pairs=(num_pairs, 1), num_values=(num_values, 1))
    pairs, values = int(num_pairs), int(num_values)
    total = values**pairs
    below = sum(_at_most(most, pairs, values) for most in range(pairs))
    return float(Fraction(pairs * total - below, total * pairs))  # E[max] = sum_k P(max > k)


def _at_most(most: int, pairs: int, values: int) -> int:
    """In how many of v^p sequences no value occurs more than `most` times."""
    counts = [1] + [0] * pairs  # sequences of length p of the values so far, by p
    for _ in range(values):
        counts = [
            sum(math.comb(p, j) * counts[p - j] for j in range(min(most, p) + 1))
            for p in range(pairs + 1)
        ]
    return counts[pairs]
