"""The posterior mean of linear regression with a Gaussian prior."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, NumberBlock, Numbers, Rows
from elsa.base.precision import exact
from elsa.predictors import linear, problem
from elsa.tasks import Prompt


@exact
def bayes(
    prompt: Prompt,
    cov_task: Real[ArrayLike, "d d"] | Rows,
    noise_var: NumberBlock,
    task_mean: Real[ArrayLike, " d"] | Numbers | None = None,
) -> Float[Array, " batch"]:
    """The best prediction of the query's label when b ~ N(b*, Psi) and the noise is N(0, s2).

        query_x . (b* + Psi X^T (X Psi X^T + s2 I)^{-1} (y - X b*))

    computed as `ridge` with lam = s2 in coordinates T, Psi = T T^T, so that in O(n d min(n, d)).
    The distribution of the covariates does not enter. Its risk is `theory.bayes_risk`.

    Args:
      prompt: its query_y is not used.
      cov_task: Psi; it may be singular where it is concrete; a traced one is positive definite.
      noise_var: s2, a number; 0 is allowed.
      task_mean: b*; zero by default.

    Raises:
      ValueError: for shapes that do not fit, an empty context, NaN or infinity, s2 < 0, or a Psi
        that is not symmetric positive semi-definite. Values are checked on concrete arrays only.
    """
    task = problem.read("bayes", prompt)
    dim = task.x.shape[-1]
    problem.matrix("bayes", "cov_task", cov_task, dim)
    checks.finite("bayes", noise_var=noise_var)
    checks.at_least("bayes", noise_var=(noise_var, 0.0))
    centre = jnp.zeros(dim, task.x.dtype)
    if task_mean is not None:
        problem.vector("bayes", "task_mean", task_mean, dim)
        centre = task.cast(task_mean)
    prior = task.query_x @ centre
    factor = task.cast(_factor(cov_task))
    if factor.shape[1] == 0:
        return prior
    white = Prompt(task.x @ factor, task.y - task.x @ centre, task.query_x @ factor, prompt.query_y)
    return prior + linear.ridge(white, noise_var)


def _factor(cov_task: AnyShape) -> Array | np.ndarray:
    """T of full column rank with Psi = T T^T."""
    if not checks.is_concrete(cov_task):
        return jnp.asarray(jnp.linalg.cholesky(jnp.asarray(cov_task)))
    matrix = np.asarray(cov_task, dtype=np.float64)
    slack = 8.0 * len(matrix) * float(np.finfo(np.float32).eps) * np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > slack:
        raise ValueError(f"bayes: cov_task must be symmetric, got {matrix.tolist()}")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -slack:
        raise ValueError(
            f"bayes: cov_task must be positive semi-definite, got an eigenvalue {values[0]:g}"
        )
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    factor: np.ndarray = vectors[:, kept] * np.sqrt(values[kept])
    return factor
