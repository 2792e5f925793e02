"""The best one layer by least squares over all that a layer can compute: no formula is used.

One layer of any number of heads writes into a row h of the prompt a linear function of
h (x) vec(H^T H): these are the features, H widened by role channels where it has biases.
"""

from typing import NamedTuple

import numpy as np

from tests.theory import helpers


class Drawn(NamedTuple):
    """Prompts whose answer stands in one row.

    rows: H, [batch, n, m]; those that the sums over rows have.
    asked: the row h that is written into, [batch, m].
    target: what should be written.
    """

    rows: np.ndarray
    asked: np.ndarray
    target: np.ndarray


def stacked(prompt, *, roles, masked):
    """A task's prompt with a row and channels for the query: [X, y, 0; 0, 0, x], roles last."""
    batch, n, d = prompt.x.shape
    rows = np.zeros((batch, n + 1, 2 * d + 1 + (2 if roles else 0)))
    rows[:, :n, :d], rows[:, :n, d] = prompt.x, prompt.y
    rows[:, n, d + 1 : 2 * d + 1] = prompt.query_x
    if roles:
        rows[:, :n, -2] = rows[:, n, -1] = 1.0
    return Drawn(rows[:, :n] if masked else rows, rows[:, n], prompt.query_y)


def transposed(prompt):
    """A row for each covariate, of the examples and the query, and one of labels."""
    x = np.concatenate([prompt.x, prompt.query_x[:, None]], axis=1).swapaxes(1, 2)
    labels = np.pad(prompt.y, ((0, 0), (0, 1)))[:, None]
    return Drawn(np.concatenate([x, labels], axis=1), labels[:, 0], prompt.query_y)


def _features(drawn):
    gram = drawn.rows.swapaxes(1, 2) @ drawn.rows
    upper = gram[:, *np.triu_indices(gram.shape[-1])]
    every = drawn.asked[:, :, None] * upper[:, None, :]
    kept = np.abs(drawn.asked).max(axis=0) > 0, np.abs(upper).max(axis=0) > 0
    return every[:, kept[0]][:, :, kept[1]].reshape(len(every), -1)


def assert_best_risk(sample, risk, *, seed, parts=2, batch=20_000):
    """Least squares on half of the draws comes within 4 standard errors of `risk` on the others.

    sample(rng, batch) makes a `Drawn`.
    """
    rng = np.random.default_rng(seed)
    moment, cross = 0.0, 0.0
    for _ in range(parts):
        drawn = sample(rng, batch)
        features = _features(drawn)
        moment, cross = moment + features.T @ features, cross + features.T @ drawn.target
    size = np.sqrt(np.diag(moment))
    best = np.linalg.pinv(moment / np.outer(size, size), 1e-11, hermitian=True) @ (cross / size)
    squares = []
    for _ in range(parts):
        drawn = sample(rng, batch)
        squares.append((_features(drawn) @ (best / size) - drawn.target) ** 2)
    found = np.concatenate(squares)
    helpers.assert_within_four_errors((found.mean(), found.std(ddof=1) / found.size**0.5), risk)
