"""Lipschitz constants of the paper's kind: for all data of a size, from the size alone."""

import math

from elsa.base import checks
from elsa.softmax_regression import inputs
from elsa.softmax_regression.bounds import OF
from elsa.softmax_regression.formulas import SQUARED


def worst_case_lipschitz(
    rows: int,
    radius: float,
    kind: str = "normalized",
    *,
    of: str = "gradient",
    label_norm: float = 1.0,
) -> float:
    """K that serves every A with ||A|| <= R, every b with |b| <= B, on the ball |x| <= R.

    In the manner of Gao, Song, Xie (arXiv:2307.02419): norms of the factors and the product rule,
    without the cancellation that makes the constants of `Problem.lipschitz` free of exponentials.
    With E = exp(R^2), exp(A x) is Lipschitz with R E, its sum alpha with sqrt(n) R E, 1/alpha <= E,
    and

        softmax                  K_f = R (E^2 + n E^4),  from |du| / alpha + |u| |d alpha| / alpha^2
        normalized, loss         (1 + B) K_f,            as |f - b| <= 1 + B
        normalized, gradient     R (5 + 3 B) K_f,        three products of f and c in g
        rescaled, loss           R (1 + sqrt(n) B)^2 E (E + sqrt(n) - 1)
        rescaled, gradient       R^2 (1 + sqrt(n) B)^2 E (2 E + sqrt(n) - 1)

    so that they grow like exp(4 R^2) and exp(2 R^2). The matrix problem has the same constants for
    ||A1|| ||A2|| <= R, |X|_F <= R, n2 rows in A2 and max_i |b_i| <= B; its loss, a sum over rows,
    is not covered.

    Args:
      rows: n.
      radius: R, bound of both ||A|| and |x|.
      kind: "normalized" or "rescaled"; the softmax map does not depend on it.
      of: "gradient", "loss" or "softmax".
      label_norm: B.

    Returns:
      The constant; infinite where it overflows.

    Raises:
      ValueError: for rows below 1, a radius or label norm that is negative or not finite, an
        unknown kind or `of`.
      TypeError: for a number of rows that is not an integer.
    """
    where = "worst_case_lipschitz"
    checks.size(where, rows=(rows, 1))
    checks.one_of(where, "kind", kind, SQUARED)
    checks.one_of(where, "of", of, OF)
    inputs.radius(where, radius, needed=True)
    checks.finite(where, label_norm=label_norm)
    checks.at_least(where, label_norm=(label_norm, 0.0))
    root = math.sqrt(rows)
    try:
        size = math.exp(radius**2)
        softmax = radius * (size**2 + rows * size**4)
        if of == "softmax":
            return softmax
        if kind == "normalized":
            return (
                (1.0 + label_norm) * softmax
                if of == "loss"
                else (radius * (5.0 + 3.0 * label_norm) * softmax)
            )
        shared = radius * (1.0 + root * label_norm) ** 2 * size
        if of == "loss":
            return shared * (size + root - 1.0)
        return radius * shared * (2.0 * size + root - 1.0)
    except OverflowError:
        return math.inf
