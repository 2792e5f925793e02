"""One step of gradient descent from a learnt start, for tasks with a prior mean.

b ~ N(b*, Psi), x_i and x ~ N(0, H), labels with noise of variance s2 on context and query. With a
start b0 and a preconditioner Gamma (here with 1/n),

    f = <b0 - (Gamma / n) X^T (X b0 - y), x>

which a linear transformer block expresses exactly, and which no block's risk beats.
Wu, Zou, Chen, Braverman, Gu, Bartlett (arXiv:2310.08391); Zhang, Wu, Bartlett (arXiv:2402.14951).
Derivations: docs/theory.md.
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from elsa.theory import matrices, pgd


def gd_beta_risk(
    init: Float[ArrayLike, " d"],
    preconditioner: Float[ArrayLike, "d d"],
    task_mean: Float[ArrayLike, " d"],
    cov_task: Float[ArrayLike, "d d"],
    cov_x: Float[ArrayLike, "d d"],
    context_length: int,
    noise_var: float,
) -> float:
    """Expected squared error of one step from `init`, for any start and preconditioner.

    With delta = b* - b0 it is `pgd_risk` of W = Gamma / n for E[b b^T] = Psi + delta delta^T.

    Args:
      init, preconditioner: b0, [d] or [d, 1], and Gamma, [d, d], symmetric or not.
      task_mean, cov_task: b*, [d] or [d, 1], and Psi, the covariance about it; may be singular.
      cov_x: H; may be singular.
      context_length, noise_var: n and s2.

    Raises:
      ValueError: for shapes that do not fit, a matrix that is no covariance, NaN or infinity,
        n < 1 or s2 < 0.
      TypeError: for an n that is no integer.
    """
    where = "gd_beta_risk"
    mean, task, data = matrices.prior(where, task_mean, cov_task, cov_x, context_length, noise_var)
    delta = mean - matrices.vector(where, "init", init, mean.size)
    gamma = matrices.weight(where, "preconditioner", preconditioner, mean.size)
    second_moment = task + np.outer(delta, delta)
    return pgd.pgd_risk(gamma / context_length, data, second_moment, context_length, noise_var)


def gd_beta_gradient(
    init: Float[ArrayLike, " d"],
    preconditioner: Float[ArrayLike, "d d"],
    task_mean: Float[ArrayLike, " d"],
    cov_task: Float[ArrayLike, "d d"],
    cov_x: Float[ArrayLike, "d d"],
    context_length: int,
    noise_var: float,
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """The gradients of `gd_beta_risk` in b0, in the shape of `init`, and in Gamma.

        dR/db0 = -2 Q delta,    dR/dGamma = (1 / n) dL/dW at W = Gamma / n
        Q = H - n (H W H + H W^T H) + n (n + 1) H W^T H W H + n tr(H W H W^T) H

    Q is positive definite for every W (H positive definite), so that every stationary point has
    b0 = b*, where the risk is a convex quadratic in Gamma: there is one minimum and no other
    stationary point, and gradient descent with small enough steps reaches it from any start. The
    steps must shrink like 1 / (1 + |b*|^2).

    Raises:
      ValueError, TypeError: as `gd_beta_risk`.
    """
    where = "gd_beta_gradient"
    mean, task, data = matrices.prior(where, task_mean, cov_task, cov_x, context_length, noise_var)
    delta = mean - matrices.vector(where, "init", init, mean.size)
    W = matrices.weight(where, "preconditioner", preconditioner, mean.size) / context_length
    second_moment = task + np.outer(delta, delta)
    d_weight = pgd.pgd_gradient(W, data, second_moment, context_length, noise_var)
    d_init = -2.0 * curvature(W, data, context_length) @ delta
    return d_init.reshape(np.shape(init)), d_weight / context_length


def gd_beta_optimum(
    task_mean: Float[ArrayLike, " d"],
    cov_task: Float[ArrayLike, "d d"],
    cov_x: Float[ArrayLike, "d d"],
    context_length: int,
    noise_var: float,
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"], float]:
    """The best start and preconditioner, and their risk: b*, n W* and L* of `pgd_optimum` at Psi.

    The risk does not depend on b*. It is the best risk of a linear transformer block too.

    Returns:
      b0 in the shape of `task_mean`, Gamma, [d, d], and the risk.

    Raises:
      ValueError, TypeError: as `gd_beta_risk`.
    """
    where = "gd_beta_optimum"
    mean, task, data = matrices.prior(where, task_mean, cov_task, cov_x, context_length, noise_var)
    weight, risk = pgd.pgd_optimum(data, task, context_length, noise_var)
    return mean.reshape(np.shape(task_mean)).copy(), context_length * weight, risk


def gd_beta_hessian(
    cov_task: Float[ArrayLike, "d d"],
    cov_x: Float[ArrayLike, "d d"],
    context_length: int,
    noise_var: float,
) -> Float[np.ndarray, "d+d*d d+d*d"]:
    """The Hessian of `gd_beta_risk` at the optimum, in (b0, Gamma row by row).

        [[2 Q(W*), 0], [0, (2 / n) H (x) ((n + 1) H Psi H + (M + s2) H)]],    M = tr(H Psi)

    Dense, d + d^2 on a side: for small d. It does not depend on b*.

    Raises:
      ValueError, TypeError: as `gd_beta_risk`.
    """
    start, data, moment = _blocks("gd_beta_hessian", cov_task, cov_x, context_length, noise_var)
    dim = data.shape[0]
    hessian = np.zeros((dim + dim**2, dim + dim**2))
    hessian[:dim, :dim] = start
    hessian[dim:, dim:] = 2.0 / context_length * np.kron(data, moment)
    return hessian


def gd_beta_rates(
    cov_task: Float[ArrayLike, "d d"],
    cov_x: Float[ArrayLike, "d d"],
    context_length: int,
    noise_var: float,
) -> tuple[float, float]:
    """The extreme eigenvalues of `gd_beta_hessian`, without forming it.

    Near the optimum, gradient flow theta' = -grad R contracts the distance to it like
    exp(-smallest t) and the excess risk like exp(-2 smallest t); gradient descent converges for
    steps below 2 / largest, at 1 - step * smallest a step for small ones.

    Returns:
      The smallest and the largest eigenvalue.

    Raises:
      ValueError, TypeError: as `gd_beta_risk`.
    """
    start, data, moment = _blocks("gd_beta_rates", cov_task, cov_x, context_length, noise_var)
    of_start, of_data, of_moment = (np.linalg.eigvalsh(m) for m in (start, data, moment))
    low, high = (2.0 / context_length * of_data[i] * of_moment[i] for i in (0, -1))
    return float(min(of_start[0], low)), float(max(of_start[-1], high))


def curvature(W: np.ndarray, H: np.ndarray, n: int) -> np.ndarray:
    """Q(W), half the Hessian of the risk in b0."""
    HWH = H @ W @ H
    return H - n * (HWH + HWH.T) + n * (n + 1) * H @ W.T @ HWH + n * float(np.trace(HWH @ W.T)) * H


def _blocks(
    where: str, cov_task: ArrayLike, cov_x: ArrayLike, context_length: int, noise_var: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2 Q(W*), H and (n + 1) H Psi H + (M + s2) H."""
    matrices.sizes(where, context_length=context_length, noise_var=noise_var)
    H = matrices.covariance(where, "cov_x", cov_x)
    psi = matrices.covariance(where, "cov_task", cov_task, H.shape[0])
    weight, _ = pgd.pgd_optimum(H, psi, context_length, noise_var)
    moment = (context_length + 1) * H @ psi @ H + (np.trace(H @ psi) + noise_var) * H
    return 2.0 * curvature(weight, H, context_length), H, moment
