"""A low-rank correction of one preconditioned step for a new task distribution."""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Real

from elsa.base.arrays import Rows
from elsa.theory import matrices, pgd
from elsa.theory.results import Step
from elsa.theory.setting import Setting, require


def lora_optimum(
    base_weight: Real[ArrayLike, "d d"] | Rows, setting: Setting, *, rank: int
) -> Step:
    """The best W = base + (a matrix of rank at most r) for a new task, and its risk.

    In white coordinates, Wbar = h W h with h = Sx^{1/2} and St = h Sb h, the risk is

        L(W) = L* + n |(Wbar - Wbar*) C^{1/2}|_F^2,    C = (n + 1) St + (M + s2) I

    so that with the singular values sigma_1 >= sigma_2 >= .. of (Wbar* - Wbar_base) C^{1/2},

        risk = L* + n sum_{i > r} sigma_i^2
        Wbar = Wbar_base + [that matrix, truncated to rank r] C^{-1/2}

    Exact for every base and every new covariance, whether it commutes with the old one or not.
    Setting of Li, Rawat, Oymak (arXiv:2407.10005). Derivation: docs/theory.md.

    Args:
      base_weight: the fixed W, for instance `pgd_optimum` of the old task.
      setting: of the new task, whose `second_moment` is Sb.
      rank: r, 0..d.

    Returns:
      W, base included, and the risk.

    Raises:
      ValueError, TypeError: as `pgd_risk`, and for a rank that is not an integer in 0..d.
    """
    where = "lora_optimum"
    require(where, setting)
    base = matrices.weight(where, "base_weight", base_weight, setting.dim)
    matrices.rank_at_most(where, rank, setting.dim)

    space, n = pgd.white(setting), setting.context_length
    gains = pgd.shrinkage(space.values, n, space.floor)
    target = (space.vectors * gains) @ space.vectors.T
    spread = np.sqrt((n + 1) * space.values + space.floor)  # of C^{1/2}
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    gap = (target - space.root @ base @ space.root) @ (space.vectors * spread)
    left, sigma, right = np.linalg.svd(gap)
    truncated = (left[:, :rank] * sigma[:rank]) @ right[:rank]
    change = (truncated * inverse) @ space.vectors.T
    risk = pgd.pgd_optimum(setting).risk + n * float(np.sum(sigma[rank:] ** 2))
    return Step(base + space.inverse_root @ change @ space.inverse_root, risk)
