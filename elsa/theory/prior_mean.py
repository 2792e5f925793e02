"""Tasks with a prior mean on layers without biases: how well the constant 1 is imitated.

b ~ N(b*, Psi), x_i and x ~ N(0, H), labels with noise of variance s2 on context and query. One
layer of linear self-attention with any number of heads predicts x^T A vec G, with any A [d, m^2],
from the Gram matrix G = [X, y]^T [X, y], m = d + 1. It has no constant, which the start b* of
`gd_beta_optimum` needs, and the traces in G imitate one: tr H^+ X^T X is nearly n rank(H).
Derivations: docs/theory.md.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from elsa.base import checks
from elsa.theory import matrices
from elsa.theory.gd_beta import gd_beta_optimum
from elsa.theory.setting import Setting, require


class MultiHeadOptimum(NamedTuple):
    """The best layer without biases, whatever the number of its heads; d + 1 of them suffice.

    key_query: V_1 .. V_m of the prediction sum_h (G V_h x)_h / n, [m, m, d]: head h reads row h of
      the Gram matrix, the label's row last.
    query_scale: a of the summand a (x^T H^+ x) (b* . x) of a query that sees its own row, by one
      head more; 0 where it is masked.
    risk: the expected squared error.
    """

    key_query: Float[np.ndarray, "m m d"]
    query_scale: float
    risk: float


def multi_head_optimum(setting: Setting, *, masked: bool = True) -> MultiHeadOptimum:
    """The best one layer of linear self-attention with any number of heads, and its risk.

    With M = tr(H Psi), T = tr(H Psi H Psi), r = rank(H) and the risk R of `gd_beta_optimum`,

        risk = R + 2 b*^T H b* / (n r + 2 + n s2^2 / ((M + s2)^2 + (n + 1) T))

    and with r + 2 more in the divisor where the query's row is not masked. One head alone is
    `linear_attention_optimum`; one head with biases attains R.

    Args:
      setting: n, s2, b*, Psi and H; either matrix may be singular.
      masked: False where the sums over rows have the query's row, which lies in channels of its
        own and whose label is 0.

    Raises:
      TypeError: for a setting that is no `Setting`, or a `masked` that is not True or False.
    """
    where = "multi_head_optimum"
    require(where, setting)
    checks.boolean(where, masked=masked)
    best = gd_beta_optimum(setting)
    H, psi, mean, n = setting.cov_x, setting.cov_task, setting.task_mean, setting.context_length
    trace, square = float(np.trace(H @ psi)), float(np.sum((H @ psi) * (H @ psi).T))
    spread = (trace + setting.noise_var) ** 2 + (n + 1) * square
    of_noise = setting.noise_var / spread if spread > 0.0 else 0.0
    share = 2.0 / (_size(setting, masked=masked) + n * setting.noise_var * of_noise)

    on_trace, on_noise = share / 2.0, share * of_noise / 2.0
    inverse_root = matrices.roots(H)[1]
    pseudo_inverse = inverse_root @ inverse_root
    traces = on_trace * pseudo_inverse + on_noise * (np.outer(mean, mean) - psi)
    residual = np.append(-mean, 1.0)  # [X, y] residual = y - X b*
    lifted = np.zeros((setting.dim + 1,) * 2)
    lifted[:-1, :-1] = traces
    lifted[-1, :-1] = lifted[:-1, -1] = -on_noise * mean
    lifted[-1, -1] = on_noise
    key_query = n * lifted[:, :, None] * mean
    key_query[:, :-1] += residual[:, None, None] * best.preconditioner.T
    excess = share * float(mean @ H @ mean)
    return MultiHeadOptimum(key_query, 0.0 if masked else on_trace, best.risk + excess)


def prior_mean_gap_bound(setting: Setting, *, masked: bool = True) -> float:
    """What the risk of `multi_head_optimum` exceeds that of `gd_beta_optimum` by, at most.

        2 b*^T H b* / (n r + 2),    not masked: 2 b*^T H b* / ((n + 1) r + 4),    r = rank(H)

    It is attained without noise, whatever H and Psi, and grows with b* without bound.

    Raises:
      TypeError: as `multi_head_optimum`.
    """
    where = "prior_mean_gap_bound"
    require(where, setting)
    checks.boolean(where, masked=masked)
    mean = setting.task_mean
    return 2.0 * float(mean @ setting.cov_x @ mean) / _size(setting, masked=masked)


def _size(setting: Setting, *, masked: bool) -> int:
    """n r + 2, or (n + 1) r + 4: how well tr H^+ X^T X, and the query's own share, imitate 1."""
    rank = int(np.linalg.matrix_rank(matrices.roots(setting.cov_x)[0], hermitian=True))
    return setting.context_length * rank + 2 + (0 if masked else rank + 2)
