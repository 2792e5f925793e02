"""The ridge loss and its gradient."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import NumberBlock, Rows
from elsa.base.precision import exact


@exact
def ridge_loss(
    X: Real[ArrayLike, "n d"] | Rows,
    y: Real[ArrayLike, "n 1"] | Rows,
    w: Real[ArrayLike, "d 1"],
    lam: NumberBlock,
) -> Float[Array, ""]:
    """|y - X w|^2 / 2 + lam |w|^2 / 2, for one task.

    Raises:
      ValueError: for shapes that do not fit.
    """
    checks.shapes("ridge_loss", X=(X, "n d"), y=(y, "n 1"), w=(w, "d 1"))
    residual, weights = jnp.asarray(y) - jnp.asarray(X) @ w, jnp.asarray(w)
    return (jnp.sum(residual**2) + jnp.reshape(lam, ()) * jnp.sum(weights**2)) / 2.0


@exact
def ridge_gradient(
    X: Real[ArrayLike, "n d"] | Rows,
    y: Real[ArrayLike, "n 1"] | Rows,
    w: Real[ArrayLike, "d 1"],
    lam: NumberBlock,
) -> Real[Array, "d 1"]:
    """The gradient of `ridge_loss` in w, X^T (X w - y) + lam w.

    Raises:
      ValueError: for shapes that do not fit.
    """
    checks.shapes("ridge_gradient", X=(X, "n d"), y=(y, "n 1"), w=(w, "d 1"))
    data = jnp.asarray(X)
    return data.T @ (data @ w - jnp.asarray(y)) + jnp.reshape(lam, ()) * jnp.asarray(w)
