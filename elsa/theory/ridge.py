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
    checks.entry("ridge_loss", lam=lam)
    weights = jnp.asarray(w)
    residual = jnp.asarray(y) - jnp.asarray(X) @ weights
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
    checks.entry("ridge_gradient", lam=lam)
    data, weights = jnp.asarray(X), jnp.asarray(w)
    return data.T @ (data @ weights - jnp.asarray(y)) + jnp.reshape(lam, ()) * weights
