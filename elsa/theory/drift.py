"""One step with a weight for each example, on a task that drifts along the context.

x_i, x ~ N(0, I_d); tasks b_1 .. b_n of the context and b_{n+1} of the query, independent of the
x's, with E[b_i b_j^T] = R_ij I and E[b_i b_{n+1}^T] = r_i I; y_i = x_i . b_i plus noise of
variance s2. The prediction is x^T X^T (omega * y). Only second moments of the tasks enter.
Setting of Li, Rawat, Oymak (arXiv:2407.10005). Derivations: docs/theory.md.
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Real

from elsa.base.arrays import AnyShape, Numbers, Rows
from elsa.theory import matrices
from elsa.theory.results import ScaledStep, WeightedStep


def drift_risk(
    sample_weights: Real[ArrayLike, " n"] | Real[ArrayLike, "n 1"] | Numbers | Rows,
    task_corr: Real[ArrayLike, "tasks tasks"] | Rows,
    *,
    dim: int,
    noise_var: float,
) -> float:
    """Expected squared error of x^T X^T (omega * y) for any omega.

        L(omega) = d + s2 - 2 d omega . r + d omega^T Q omega,    Q = R + (d + 1 + s2) I

    Args:
      sample_weights: omega, one weight for each example.
      task_corr: [[R, r], [r^T, 1]], correlations of the tasks, the query's last.
      dim, noise_var: d and s2.

    Raises:
      ValueError: for shapes that do not fit, a task_corr that is not a correlation matrix of at
        least two tasks, NaN or infinity, d < 1 or s2 < 0.
      TypeError: for a d that is not an integer.
    """
    where = "drift_risk"
    Q, r = _moments(where, task_corr, dim, noise_var)
    omega = matrices.vector(where, "sample_weights", sample_weights, r.size)
    return float(dim + noise_var - 2 * dim * omega @ r + dim * omega @ Q @ omega)


def drift_optimum(
    task_corr: Real[ArrayLike, "tasks tasks"] | Rows, *, dim: int, noise_var: float
) -> WeightedStep:
    """The best weight of each example, scale included, and its risk.

        omega* = Q^{-1} r,    risk = d + s2 - d r^T Q^{-1} r

    With all correlations 1 the weights are equal, and the risk is `pgd_optimum`'s at Sx = Sb = I.

    Raises:
      ValueError, TypeError: as `drift_risk`.
    """
    Q, r = _moments("drift_optimum", task_corr, dim, noise_var)
    omega = np.linalg.solve(Q, r)
    return WeightedStep(omega, float(dim + noise_var - dim * omega @ r))


def unweighted_drift_optimum(
    task_corr: Real[ArrayLike, "tasks tasks"] | Rows, *, dim: int, noise_var: float
) -> ScaledStep:
    """The best w for omega = w (1, .., 1), what attention without weights can do, and its risk.

        w = (1 . r) / (1^T Q 1),    risk = d + s2 - d (1 . r)^2 / (1^T Q 1)

    With drift it goes back up to d + s2 as n grows, where the risk of `drift_optimum` saturates.

    Raises:
      ValueError, TypeError: as `drift_risk`.
    """
    Q, r = _moments("unweighted_drift_optimum", task_corr, dim, noise_var)
    scale = float(r.sum() / Q.sum())
    return ScaledStep(scale, float(dim + noise_var - dim * scale * r.sum()))


def _moments(
    where: str, task_corr: AnyShape, dim: int, noise_var: float
) -> tuple[np.ndarray, np.ndarray]:
    """Q and r."""
    matrices.sizes(where, dim=dim, noise_var=noise_var)
    corr = matrices.covariance(where, "task_corr", task_corr)
    if corr.shape[0] < 2:
        raise ValueError(f"{where}: task_corr must hold at least 2 tasks, got shape {corr.shape}")
    if not np.allclose(np.diag(corr), 1.0, rtol=0.0, atol=1e-6):
        raise ValueError(
            f"{where}: task_corr must have ones on its diagonal, got {np.diag(corr).tolist()}"
        )
    R, r = corr[:-1, :-1], corr[:-1, -1]
    return R + (dim + 1.0 + noise_var) * np.eye(r.size), r
