"""Rounding errors of floating-point arithmetic: unit roundoff and the bound for sums of products.

Higham, Accuracy and Stability of Numerical Algorithms (2002), Sections 2.2, 3.1 and 3.5.
"""

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float

from elsa.base import checks
from elsa.theory import matrices


def unit_roundoff(dtype: DTypeLike) -> float:
    """u: the largest relative error of rounding a number to `dtype`, half the machine epsilon.

    2^-53 for float64, 2^-24 for float32, 2^-8 for bfloat16.

    Raises:
      TypeError: for a dtype that is not floating point.
    """
    return float(jnp.finfo(checks.floating("unit_roundoff", dtype)).eps) / 2.0


def gamma(terms: int, unit: float) -> float:
    """gamma_k = k u / (1 - k u), which bounds every sum of products.

    A sum of k products, added in whatever order, carries at most k factors (1 + e_j), |e_j| <= u,
    on each product, and their product differs from 1 by at most gamma_k. So the computed C = A B
    with k columns in A has

        |fl(A B) - A B| <= gamma_k |A| |B|    entry by entry, |.| the absolute values,

    and, as gamma_j + gamma_k + gamma_j gamma_k <= gamma_{j+k}, a product of three with j and then k
    terms has gamma_{j+k} |A| |B| |C|. Terms that are exactly zero add nothing, so that products
    with selections (columns of the identity) are exact. One more rounding counts as one more term.

    Args:
      terms: k, products in the sum, plus other roundings on the way.
      unit: u of the arithmetic, `unit_roundoff`.

    Raises:
      ValueError: for terms below 0, or where k u >= 1 and there is no bound.
    """
    checks.integer("gamma", terms=(terms, 0))
    checks.at_least("gamma", unit=(unit, 0.0))
    checks.interval("gamma", terms * unit, -1.0, 1.0, name="terms * unit", reason="no bound holds")
    return terms * unit / (1.0 - terms * unit)


def ridge_step_bound(
    X: Float[np.ndarray, "*batch n d"],
    y: Float[np.ndarray, "*batch n 1"],
    w: Float[np.ndarray, "*batch d 1"],
    lam: float,
    step_size: float,
    unit: float,
) -> Float[np.ndarray, "*batch d 1"]:
    """A bound, entry by entry, of the rounding of one descent step, as an error of its gradient.

    The step computed in floating point, w' = w - eta (X^T (X w - y) + lam w), implies the gradient
    (w - w') / eta. Every term of w' passes at most k = n + 2 d + 12 roundings: d of X w, n + d of
    the sum over the context rows and the rows sqrt(lam) I below them, 12 of the scalings by eta and
    lam or its root, of the additions of blocks and heads, and of the skip. So

        |(w - w') / eta - g| <= gamma_k (|X|^T (|X| |w| + |y|) + lam |w| + |w| / eta).

    Args:
      X, y, w: one task or a batch.
      lam, step_size: lam and eta.
      unit: u of the arithmetic.
    """
    where = "ridge_step_bound"
    sizes = matrices.data(where, X=(X, "... n d"), y=(y, "... n 1"), w=(w, "... d 1"))
    if sizes["1"] != 1:
        raise ValueError(
            f"{where}: y and w must be columns, got shapes {np.shape(y)}, {np.shape(w)}"
        )
    checks.same_shape(where, "tasks of X", np.shape(X)[:-2], "y", np.shape(y)[:-2])
    checks.same_shape(where, "tasks of X", np.shape(X)[:-2], "w", np.shape(w)[:-2])
    checks.at_least(where, lam=(lam, 0.0))
    checks.finite(where, lam=lam)
    checks.positive(where, step_size=step_size, unit=unit)
    X, y, w = (np.abs(np.asarray(array, np.float64)) for array in (X, y, w))
    n, d = X.shape[-2:]
    size = np.swapaxes(X, -1, -2) @ (X @ w + y) + (lam + 1.0 / step_size) * w
    bound: np.ndarray = gamma(n + 2 * d + 12, unit) * size
    return bound
