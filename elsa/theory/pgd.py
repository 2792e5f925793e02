"""One step of preconditioned gradient descent on independent data: any weight, and the best one.

Throughout, context x_i and query x ~ N(0, Sx), the task has E[b b^T] = Sb, which is the setting's
`second_moment`, so that its mean enters through Sb only; labels are y = x . b + noise of variance
s2 on the context and on the query, and the prediction is x^T W X^T y, with no 1/n in it.
Derivations: docs/theory.md.
Setting of Li, Rawat, Oymak (arXiv:2407.10005) and of Ahn et al. (arXiv:2306.00297).
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base.arrays import Rows
from elsa.theory import matrices
from elsa.theory.results import Step
from elsa.theory.setting import Setting, require


def pgd_risk(weight: Real[ArrayLike, "d d"] | Rows, setting: Setting) -> float:
    """Expected squared error of x^T W X^T y for any W, symmetric or not.

    With E[G Sb G] = n (n + 1) Sx Sb Sx + n tr(Sx Sb) Sx for G = X^T X and M = tr(Sx Sb),

        L(W) = M + s2 - 2 n tr(Sb Sx W Sx) + n tr(Sx W [(n + 1) Sx Sb Sx + (M + s2) Sx] W^T)

    Args:
      weight: W.
      setting: n, s2, Sx, and Sb = E[b b^T]; either matrix may be singular.

    Raises:
      ValueError: for a weight that is not [d, d], NaN or infinity.
      TypeError: for a setting that is not a `Setting`.
    """
    where = "pgd_risk"
    require(where, setting)
    W = matrices.weight(where, "weight", weight, setting.dim)
    sx, sb, n = setting.cov_x, setting.second_moment, setting.context_length
    cross = np.trace(sb @ sx @ W @ sx)
    square = np.trace(sx @ W @ label_moment(setting) @ W.T)
    return float(np.trace(sx @ sb) + setting.noise_var - 2 * n * cross + n * square)


def pgd_gradient(
    weight: Real[ArrayLike, "d d"] | Rows, setting: Setting
) -> Float[np.ndarray, "d d"]:
    """The gradient of `pgd_risk` in W.

        dL/dW = -2 n Sx Sb Sx + 2 n Sx W [(n + 1) Sx Sb Sx + (M + s2) Sx]

    Raises:
      ValueError, TypeError: as `pgd_risk`.
    """
    where = "pgd_gradient"
    require(where, setting)
    W = matrices.weight(where, "weight", weight, setting.dim)
    sx, sb = setting.cov_x, setting.second_moment
    gradient: np.ndarray = (
        2 * setting.context_length * (sx @ W @ label_moment(setting) - sx @ sb @ sx)
    )
    return gradient


def pgd_optimum(setting: Setting, *, rank: int | None = None) -> Step:
    """The best W of at most the given rank, and its risk.

    With h = Sx^{1/2} and eigenvalues l_1 >= l_2 >= .. and vectors q_i of h Sb h,

        W*   = h^{-1} sum_{i <= r} l_i / ((n + 1) l_i + M + s2) q_i q_i^T h^{-1}
        risk = M + s2 - sum_{i <= r} n l_i^2 / ((n + 1) l_i + M + s2)

    by Eckart-Young on the completed square; M is the full trace at every rank. The minimiser is
    unique at full rank where Sx and Sb have it and where l_r > l_{r+1}; for a singular Sx, W* is
    the one of least norm.

    Args:
      setting: as in `pgd_risk`.
      rank: r, 0..d; d where None.

    Raises:
      ValueError: for a rank outside 0..d.
      TypeError: for a rank that is not an integer and a setting that is not a `Setting`.
    """
    where = "pgd_optimum"
    require(where, setting)
    if rank is not None:
        matrices.rank_at_most(where, rank, setting.dim)
    space = white(setting)
    kept = slice(None, setting.dim if rank is None else rank)
    values, vectors = space.values[kept], space.vectors[:, kept]
    gains = shrinkage(values, setting.context_length, space.floor)
    half = space.inverse_root @ vectors
    risk = space.floor - setting.context_length * float(np.sum(values * gains))
    return Step((half * gains) @ half.T, risk)


def white(setting: Setting) -> matrices.Gaussian:
    """The second moment of the tasks where the covariates are white."""
    return matrices.whiten(
        cov_x=setting.cov_x, moment=setting.second_moment, noise_var=setting.noise_var
    )


def label_moment(setting: Setting) -> np.ndarray:
    """(n + 1) Sx Sb Sx + (M + s2) Sx, which is E[X^T y y^T X] / n."""
    sx, sb = setting.cov_x, setting.second_moment
    signal = np.trace(sx @ sb)
    moment: np.ndarray = (setting.context_length + 1) * sx @ sb @ sx + (
        signal + setting.noise_var
    ) * sx
    return moment


def shrinkage(values: np.ndarray, context_length: int, floor: float) -> np.ndarray:
    """l / ((n + 1) l + M + s2), the eigenvalues of h W* h; 0 where there is no signal at all."""
    divisor = (context_length + 1) * values + floor
    shrunk: np.ndarray = np.divide(values, divisor, out=np.zeros_like(values), where=divisor > 0)
    return shrunk
