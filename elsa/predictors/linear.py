"""Linear estimators in closed form: weights of one task, predictions of a batch of prompts."""

import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import NumberBlock, Rows
from elsa.base.precision import exact
from elsa.predictors import problem
from elsa.tasks import Prompt


@exact
def ridge_weights(
    X: Real[ArrayLike, "n d"] | Rows, y: Real[ArrayLike, "n k"] | Rows, lam: NumberBlock
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
    checks.finite("ridge_weights", X=X, y=y)
    checks.entry("ridge_weights", lam=lam)
    if checks.is_concrete(lam):
        known = np.asarray(lam).item()
        checks.at_least("ridge_weights", lam=(known, 0.0))
        if sizes["n"] < sizes["d"]:
            checks.positive("ridge_weights (fewer rows than columns)", lam=known)
    data, labels = jnp.asarray(X), jnp.asarray(y)
    gram = data.T @ data + jnp.reshape(lam, ()) * jnp.eye(sizes["d"], dtype=data.dtype)
    return jsl.cho_solve(jsl.cho_factor(gram), data.T @ labels)


@exact
def ridge(prompt: Prompt, lam: NumberBlock) -> Float[Array, " batch"]:
    """query_x . (X^T X + lam I)^{-1} X^T y, for a batch of prompts.

    In O(n d min(n, d)) a prompt, by Cholesky: for n < d as X^T (X X^T + lam I)^{-1} y. With
    lam = 0 it is `least_squares`.

    Args:
      prompt: its query_y is not used.
      lam: the regulariser, a number.

    Raises:
      ValueError: for shapes that do not fit, an empty context, NaN or infinity, or lam < 0.
        Values are checked on concrete arrays only.
    """
    checks.entry("ridge", lam=lam)
    if checks.is_concrete(lam):
        checks.at_least("ridge", lam=(np.asarray(lam).item(), 0.0))
    task = problem.read("ridge", prompt)
    return task.predict(_solve(task, jnp.reshape(task.cast(lam), ())))


@exact
def least_squares(prompt: Prompt) -> Float[Array, " batch"]:
    """query_x . X^+ y: the least-squares solution, of least norm where n < d.

    By Cholesky, which squares the condition number; NaN or rounding errors where the n covariates
    do not span min(n, d) dimensions.

    Raises:
      ValueError: as `ridge`.
    """
    task = problem.read("least_squares", prompt)
    return task.predict(_solve(task, jnp.zeros((), task.x.dtype)))


def _solve(task: problem.Problem, lam: Array) -> Array:
    """The ridge weights of each task, [batch, d], on the smaller side."""
    _, n, d = task.x.shape
    if n >= d:
        gram, right = jnp.einsum("bni,bnj->bij", task.x, task.x), task.correlation
    else:
        gram, right = jnp.einsum("bid,bjd->bij", task.x, task.x), task.y
    factor = jnp.linalg.cholesky(gram + lam * jnp.eye(min(n, d), dtype=gram.dtype)[None])
    solution = jsl.cho_solve((factor, True), right[..., None])[..., 0]
    return solution if n >= d else jnp.einsum("bnd,bn->bd", task.x, solution)
