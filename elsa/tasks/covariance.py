"""Symmetric roots of covariance matrices, singular ones included."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.precision import exact


@exact
def symmetric_root(
    where: str, name: str, matrix: Real[ArrayLike, "d d"]
) -> Float[Array, "d d"] | Float[np.ndarray, "d d"]:
    """The symmetric positive semidefinite R with R R = matrix, by eigenvalues.

    A concrete matrix is computed in float64 NumPy, a traced one by jax. Eigenvalues that rounding
    left below 0 count as 0.

    Raises:
      ValueError: for a concrete matrix that is not finite, symmetric and positive semidefinite, to
        1e-6 of its largest entry (float32 covariances come that far off).
    """
    root: Array | np.ndarray
    if not checks.is_concrete(matrix):
        values, vectors = jnp.linalg.eigh(jnp.asarray(matrix))
        root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]) @ vectors.T
        return root
    checks.finite(where, **{name: matrix})
    checks.shapes(where, **{name: (matrix, "d d")})
    known = np.asarray(matrix, dtype=np.float64)
    allowed = 1e-6 * np.abs(known).max()
    skew = np.abs(known - known.T).max()
    if skew > allowed:
        raise ValueError(f"{where}: {name} must be symmetric, got entries that differ by {skew:g}")
    values, vectors = np.linalg.eigh((known + known.T) / 2.0)
    if values[0] < -allowed:
        raise ValueError(
            f"{where}: {name} must be positive semidefinite, got an eigenvalue of {values[0]:g}"
        )
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[None, :]) @ vectors.T
    return root
