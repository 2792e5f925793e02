"""Linear estimators of one task in closed form."""

import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa import checks


def ridge_weights(
    X: Float[ArrayLike, "n d"], y: Float[ArrayLike, "n k"], lam: Float[ArrayLike, ""]
) -> Float[Array, "d k"]:
    """(X^T X + lam I)^{-1} X^T y by Cholesky; one task, `jax.vmap` for a batch.

    Args:
      X: covariates, [n, d].
      y: labels, [n, k], k outputs.
      lam: the regulariser, a number or [1, 1]; 0 only where X has full column rank.

    Raises:
      ValueError: for shapes that do not fit, NaN or infinity, lam < 0, or lam = 0 with n < d, where
        the solution is not unique. Values are checked on concrete arrays only.
    """
    sizes = checks.shapes("ridge_weights", X=(X, "n d"), y=(y, "n k"))
    checks.finite("ridge_weights", X=X, y=y, lam=lam)
    checks.at_least("ridge_weights", lam=(lam, 0.0))
    if sizes["n"] < sizes["d"] and checks.is_concrete(lam):
        checks.positive("ridge_weights (fewer rows than columns)", lam=lam)
    data, labels = jnp.asarray(X), jnp.asarray(y)
    gram = data.T @ data + jnp.reshape(lam, ()) * jnp.eye(sizes["d"], dtype=data.dtype)
    return jsl.cho_solve(jsl.cho_factor(gram), data.T @ labels)
