"""Directions along which a loss is constant, and weights without their part along them.

Softmax does not change when a constant is added to its logits. So the normalized loss sees of A
only the part orthogonal to the ones, A minus the mean of its rows, and x + v has the loss of x,
everywhere, exactly when A v is a multiple of 1. The rescaled loss does not change everywhere when
A v = 0; along A v = t 1 it is multiplied by exp(2 t), so that minimisers of loss 0 stay such.
In matrix form V is not seen where A1 V A^T = 0, A being A2 minus the mean of its rows, or A2.
"""

import numpy as np
from jaxtyping import Float

from elsa.softmax_regression.bounds import Values


def hidden_directions(values: Values, kind: str) -> Float[np.ndarray, "d1 d2 k"]:
    """An orthonormal basis of the null directions: products of which one factor is not seen."""
    seen = _seen(values, kind)
    left, right = (np.linalg.qr(basis, mode="complete")[0] for basis in seen)
    hidden = np.ones((left.shape[1], right.shape[1]), bool)
    hidden[: seen[0].shape[1], : seen[1].shape[1]] = False
    rows, columns = np.nonzero(hidden)
    directions: np.ndarray = left[:, None, rows] * right[None, :, columns]
    return directions


def seen_part(x: np.ndarray, values: Values, kind: str) -> Float[np.ndarray, "d1 d2"]:
    """S1 S1^T X S2 S2^T, S1 and S2 orthonormal bases of the row spaces of A1 and A."""
    left, right = _seen(values, kind)
    part: np.ndarray = left @ (left.T @ x @ right) @ right.T
    return part


def _seen(values: Values, kind: str) -> tuple[np.ndarray, np.ndarray]:
    centred = kind != "rescaled"
    return _row_space(values.left, centred=False), _row_space(values.right, centred=centred)


def _row_space(data: np.ndarray, *, centred: bool) -> Float[np.ndarray, "d rank"]:
    """An orthonormal basis of the row space of the data, minus the mean of its rows if centred."""
    size = np.linalg.norm(data, 2)  # centring leaves rounding of this size behind
    matrix = data - data.mean(axis=0) if centred else data
    _, values, basis = np.linalg.svd(matrix, full_matrices=False)
    seen = values > max(data.shape) * np.finfo(np.float64).eps * size
    hidden: np.ndarray = basis[seen].T
    return hidden
