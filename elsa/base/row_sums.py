"""Sums over rows that come in pieces, in float64: A^T B, and means with products about them.

A sum of n float32 products loses up to n roundings of 6e-8: at 1e8 rows all of its digits. Pieces
are multiplied and added in float64, whatever the rows come in, where the same sum keeps nine.
"""

from typing import NamedTuple

import numpy as np

from elsa.base.rows import Rows

_SERIAL = 2**18  # multiplications up to which BLAS takes one thread
_FEW = 64


def transposed_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^T B of two tall pieces, by batches of rows so short that BLAS starts no threads.

    Of 21 columns, a piece has 5 million multiplications: threads that wait for one another on a
    busy machine have taken 30 times as long as one. Batches also shorten the sums.
    """
    size = _SERIAL // max(1, a.shape[1] * b.shape[1])
    if size < _FEW or len(a) < size:
        whole: np.ndarray = a.T @ b
        return whole
    end = len(a) // size * size
    left, right = (c[:end].reshape(-1, size, c.shape[1]) for c in (a, b))
    total: np.ndarray = (left.transpose(0, 2, 1) @ right).sum(axis=0) + a[end:].T @ b[end:]
    return total


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A B of a tall piece and a small matrix, by the same batches."""
    size = _SERIAL // max(1, b.size)
    if size < _FEW or len(a) < size:
        whole: np.ndarray = a @ b
        return whole
    end = len(a) // size * size
    batches = a[:end].reshape(-1, size, a.shape[1]) @ b
    return np.concatenate([batches.reshape(end, b.shape[1]), a[end:] @ b])


class Moments(NamedTuple):
    """Of all rows z_i.

    num_rows: n.
    mean: of the columns, [m].
    scatter: sum_i (z_i - mean)(z_i - mean)^T, [m, m].
    """

    num_rows: int
    mean: np.ndarray
    scatter: np.ndarray


def moments(rows: Rows) -> Moments:
    """Means and products about them, in one pass.

    Each piece is centred by itself and added to those before (Chan, Golub, LeVeque, 1983):

        scatter <- scatter + own + k n / (n + k) (own mean - mean)(own mean - mean)^T

    so that columns far from 0 lose nothing, as they would in sum z z^T - n mean mean^T.

    Raises:
      TypeError, ValueError: as `Rows.pieces`; where products are beyond float64's range.
    """
    count, mean, scatter = 0, np.zeros(0), np.zeros((0, 0))
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in rows.pieces():
            if not count:
                mean, scatter = np.zeros(piece.shape[1]), np.zeros((piece.shape[1],) * 2)
            own = piece.mean(axis=0)
            centred, apart = piece - own, own - mean
            total = count + len(piece)
            scatter += transposed_product(centred, centred)
            scatter += np.outer(apart, apart) * (count * len(piece) / total)
            mean += apart * (len(piece) / total)
            count = total
    require_finite(rows.where, scatter)
    return Moments(count, mean, scatter)


def require_finite(where: str, sums: np.ndarray) -> None:
    """Refuses sums of finite rows that are not finite."""
    if not np.isfinite(sums).all():
        raise ValueError(
            f"{where}: rows must be small enough for their products to be finite in float64; "
            "divide the columns by a power of ten"
        )
