"""Directions that a loss does not see, and weights without their part along them.

Softmax does not change when a constant is added to its logits. So the normalized loss sees of A
only the part orthogonal to the ones, A minus the mean of its rows, and x + v has the loss of x,
everywhere, exactly when A v is a multiple of 1. The rescaled loss does not change everywhere when
A v = 0; along A v = t 1 it is multiplied by exp(2 t), so that minimisers of loss 0 stay such.
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from elsa.base import checks
from elsa.softmax_regression import inputs
from elsa.softmax_regression.formulas import KINDS


def null_directions(
    a: Float[ArrayLike, "n d"], kind: str = "normalized"
) -> Float[np.ndarray, "d k"]:
    """An orthonormal basis of the directions along which the loss is constant everywhere.

        normalized:  {v: A v = t 1 for some t},  the null space of A - mean of its rows
        rescaled:    {v: A v = 0}

    k = d - rank; for data in general position it is d - min(d, n - 1) and d - min(d, n). A constant
    column, repeated or dependent columns and d >= n all give such directions. They hold for every
    b; a singular value counts as 0 up to max(n, d) times the rounding of the largest, float64.

    Raises:
      ValueError: for an array that is empty, no matrix or not finite, or an unknown kind.
      TypeError: for tracers, as the rank decides the shape.
    """
    inputs.concrete("null_directions", a=a)
    checks.one_of("null_directions", "kind", kind, KINDS)
    inputs.arrays("null_directions", a=(a, "n d"))
    seen = seen_directions(np.asarray(a, np.float64), centred=kind == "normalized")
    full, _ = np.linalg.qr(seen, mode="complete")
    return full[:, seen.shape[1] :]


def identifiable_part(
    x: Float[ArrayLike, " d"], a: Float[ArrayLike, "n d"], kind: str = "normalized"
) -> Float[np.ndarray, " d"]:
    """x without its part along `null_directions`: equal for all weights that the loss takes as one.

    Raises:
      ValueError, TypeError: as `null_directions`, and for an x that does not fit.
    """
    inputs.concrete("identifiable_part", x=x, a=a)
    checks.one_of("identifiable_part", "kind", kind, KINDS)
    inputs.arrays("identifiable_part", a=(a, "n d"), x=(x, "d"))
    seen = seen_directions(np.asarray(a, np.float64), centred=kind == "normalized")
    return seen @ (seen.T @ np.asarray(x, np.float64))


def matrix_identifiable_part(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    kind: str = "normalized",
) -> Float[np.ndarray, "d1 d2"]:
    """X without what the matrix loss does not see: S1 S1^T X S2 S2^T.

    V is not seen where A1 V A2^T has rows of one value each (normalized) or vanishes (rescaled),
    that is A1 V A^T = 0 for A = A2 - mean of its rows, or A2. S1 and S2 are orthonormal bases of
    the row spaces of A1 and A, so that d1 d2 - rank(A1) rank(A) directions are lost.

    Raises:
      ValueError, TypeError: as `null_directions`, and for an X that does not fit.
    """
    where = "matrix_identifiable_part"
    inputs.concrete(where, x=x, a1=a1, a2=a2)
    checks.one_of(where, "kind", kind, KINDS)
    inputs.arrays(where, a1=(a1, "n1 d1"), a2=(a2, "n2 d2"), x=(x, "d1 d2"))
    left = seen_directions(np.asarray(a1, np.float64), centred=False)
    right = seen_directions(np.asarray(a2, np.float64), centred=kind == "normalized")
    return left @ (left.T @ np.asarray(x, np.float64) @ right) @ right.T


def seen_directions(data: np.ndarray, *, centred: bool) -> np.ndarray:
    """An orthonormal basis of the row space, [d, rank], of the data minus the mean of its rows."""
    size = np.linalg.norm(data, 2)  # centring leaves rounding of this size behind
    matrix = data - data.mean(axis=0) if centred else data
    _, values, basis = np.linalg.svd(matrix, full_matrices=False)
    seen = values > max(data.shape) * np.finfo(np.float64).eps * size
    return basis[seen].T
