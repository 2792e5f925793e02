"""One step of gradient descent from a learnt start, for tasks with a prior mean.

b ~ N(b*, Psi), x_i and x ~ N(0, H), labels with noise of variance s2 on context and query; of a
`Setting`, b* is `task_mean`, Psi `cov_task` and H `cov_x`. With a start b0 and a preconditioner
Gamma (here with 1/n),

    f = <b0 - (Gamma / n) X^T (X b0 - y), x>

which a linear transformer block expresses exactly, and which no block's risk beats.
Wu, Zou, Chen, Braverman, Gu, Bartlett (arXiv:2310.08391); Zhang, Wu, Bartlett (arXiv:2402.14951).
Derivations: docs/theory.md.
"""

import dataclasses

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base.arrays import AnyShape, Rows
from elsa.theory import matrices, pgd
from elsa.theory.matrices import Vector
from elsa.theory.results import Rates, StartedStep, StartedStepGradient
from elsa.theory.setting import Setting, require


def gd_beta_risk(
    init: Vector,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
    setting: Setting,
) -> float:
    """Expected squared error of one step from `init`, for any start and preconditioner.

    It is `pgd_risk` of W = Gamma / n on the tasks b - b0, whose mean is b* - b0.

    Args:
      init, preconditioner: b0, [d] or [d, 1], and Gamma, [d, d], symmetric or not.
      setting: n, s2, b*, Psi and H; either matrix may be singular.

    Raises:
      ValueError: for a start or a preconditioner of another shape, NaN or infinity.
      TypeError: for a setting that is not a `Setting`.
    """
    W, left = _from_start("gd_beta_risk", init, preconditioner, setting)
    return pgd.pgd_risk(W, left)


def gd_beta_gradient(
    init: Vector,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
    setting: Setting,
) -> StartedStepGradient:
    """The gradients of `gd_beta_risk` in b0, in the shape of `init`, and in Gamma.

        dR/db0 = -2 Q delta,    dR/dGamma = (1 / n) dL/dW at W = Gamma / n,    delta = b* - b0
        Q = H - n (H W H + H W^T H) + n (n + 1) H W^T H W H + n tr(H W H W^T) H

    Q is positive definite for every W (H positive definite), so that every stationary point has
    b0 = b*, where the risk is a convex quadratic in Gamma: there is one minimum and no other
    stationary point, and gradient descent with small enough steps reaches it from any start. The
    steps must shrink like 1 / (1 + |b*|^2).

    Raises:
      ValueError, TypeError: as `gd_beta_risk`.
    """
    W, left = _from_start("gd_beta_gradient", init, preconditioner, setting)
    d_init = -2.0 * curvature(W, setting.cov_x, setting.context_length) @ left.task_mean
    d_gamma = pgd.pgd_gradient(W, left) / setting.context_length
    return StartedStepGradient(d_init.reshape(np.shape(init)), d_gamma)


def gd_beta_optimum(setting: Setting) -> StartedStep:
    """The best start and preconditioner, and their risk: b*, n W* and L* of `pgd_optimum` at Psi.

    The risk does not depend on b*. It is the best risk of a linear transformer block too.

    Raises:
      TypeError: for a setting that is not a `Setting`.
    """
    require("gd_beta_optimum", setting)
    weight, risk = pgd.pgd_optimum(setting.centred())
    return StartedStep(setting.task_mean.copy(), setting.context_length * weight, risk)


def gd_beta_hessian(setting: Setting) -> Float[np.ndarray, "size size"]:
    """The Hessian of `gd_beta_risk` at the optimum, in (b0, Gamma row by row).

        [[2 Q(W*), 0], [0, (2 / n) H (x) ((n + 1) H Psi H + (M + s2) H)]],    M = tr(H Psi)

    Dense, d + d^2 on a side: for small d. It does not depend on b*.

    Raises:
      TypeError: for a setting that is not a `Setting`.
    """
    start, moment = _blocks("gd_beta_hessian", setting)
    dim = setting.dim
    hessian = np.zeros((dim + dim**2, dim + dim**2))
    hessian[:dim, :dim] = start
    hessian[dim:, dim:] = 2.0 / setting.context_length * np.kron(setting.cov_x, moment)
    return hessian


def gd_beta_rates(setting: Setting) -> Rates:
    """The extreme eigenvalues of `gd_beta_hessian`, without forming it.

    Near the optimum, gradient flow theta' = -grad R contracts the distance to it like
    exp(-smallest t) and the excess risk like exp(-2 smallest t); gradient descent converges for
    steps below 2 / largest, at 1 - step * smallest a step for small ones.

    Raises:
      TypeError: for a setting that is not a `Setting`.
    """
    start, moment = _blocks("gd_beta_rates", setting)
    of_start, of_data, of_moment = (np.linalg.eigvalsh(m) for m in (start, setting.cov_x, moment))
    low, high = (2.0 / setting.context_length * of_data[i] * of_moment[i] for i in (0, -1))
    return Rates(float(min(of_start[0], low)), float(max(of_start[-1], high)))


def curvature(W: np.ndarray, H: np.ndarray, n: int) -> np.ndarray:
    """Q(W), half the Hessian of the risk in b0."""
    HWH = H @ W @ H
    half_hessian: np.ndarray = (
        H - n * (HWH + HWH.T) + n * (n + 1) * H @ W.T @ HWH + n * float(np.trace(HWH @ W.T)) * H
    )
    return half_hessian


def _from_start(
    where: str, init: AnyShape, preconditioner: AnyShape, setting: Setting
) -> tuple[np.ndarray, Setting]:
    """W = Gamma / n, and the setting of the tasks b - b0 that are left for it to find."""
    require(where, setting)
    delta = setting.task_mean - matrices.vector(where, "init", init, setting.dim)
    gamma = matrices.weight(where, "preconditioner", preconditioner, setting.dim)
    return gamma / setting.context_length, dataclasses.replace(setting, task_mean=delta)


def _blocks(where: str, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """2 Q(W*), and (n + 1) H Psi H + (M + s2) H."""
    require(where, setting)
    about_mean = setting.centred()
    W = pgd.pgd_optimum(about_mean).weight
    start = 2.0 * curvature(W, setting.cov_x, setting.context_length)
    return start, pgd.label_moment(about_mean)
