"""Rates of gradient descent on a quadratic, in particular ridge regression.

Throughout, A = X^T X + lam I has eigenvalues in [smallest, largest], kappa is their ratio, and
w <- w - eta (A w - X^T y) has the error w_t - w* = (I - eta A)^t (w_0 - w*).
Nesterov, Introductory Lectures on Convex Optimization (2004), Theorem 2.1.15.
"""

import math

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from elsa import checks


def best_step_size(smallest: float, largest: float) -> float:
    """eta = 2 / (largest + smallest), which makes the worst contraction smallest.

    Raises:
      ValueError: unless 0 <= smallest <= largest and largest > 0.
    """
    _check_spectrum("best_step_size", smallest, largest)
    return 2.0 / (largest + smallest)


def admissible_step_size(largest: float) -> tuple[float, float]:
    """The open interval (0, 2 / largest) of step sizes for which gradient descent converges.

    Raises:
      ValueError: unless largest > 0.
    """
    checks.positive("admissible_step_size", largest=largest)
    return 0.0, 2.0 / largest


def contraction(condition_number: float) -> float:
    """(kappa - 1)/(kappa + 1): the factor of the error a step, at the best step size.

    0 at condition number 1, where one step is exact; 1 where it is infinite.

    Raises:
      ValueError: for a condition number below 1.
    """
    checks.at_least("contraction", condition_number=(condition_number, 1.0))
    if math.isinf(condition_number):
        return 1.0
    return (condition_number - 1.0) / (condition_number + 1.0)


def steps_to_reach(tolerance: float, condition_number: float) -> int:
    """ceil(log(tolerance) / log((kappa - 1)/(kappa + 1))), steps to a relative error, worst case.

    One step at condition number 1; log is natural.

    Raises:
      ValueError: for a tolerance outside (0, 1), or an infinite condition number, for which no
        number of steps suffices in the worst case.
    """
    checks.interval(
        "steps_to_reach", tolerance, 0.0, 1.0, name="tolerance", reason="it is a relative error"
    )
    rate = contraction(condition_number)
    if rate == 1.0:
        raise ValueError(
            "steps_to_reach: condition_number must be finite, got inf: some errors never shrink"
        )
    return 1 if rate == 0.0 else math.ceil(math.log(tolerance) / math.log(rate))


def error_curve(
    eigenvalues: Float[ArrayLike, " d"],
    start: Float[ArrayLike, " d"],
    step_size: float,
    steps: Float[ArrayLike, " t"],
) -> Float[np.ndarray, " t"]:
    """|w_t - w*| / |w_0 - w*|, exact for a given start, without running the iteration.

        |w_t - w*|^2 = sum_i (1 - eta a_i)^{2 t} s_i^2

    Args:
      eigenvalues: a_i of A, [d].
      start: s_i, the coordinates of w_0 - w* in A's eigenvectors, [d].
      step_size: eta.
      steps: t, [t], integers.

    Raises:
      ValueError: for shapes that do not fit, or a start of norm 0.
    """
    checks.shapes("error_curve", eigenvalues=(eigenvalues, "d"), start=(start, "d"))
    checks.shapes("error_curve", steps=(steps, "t"))
    shares = np.asarray(start, dtype=np.float64) ** 2
    if not shares.sum() > 0:
        raise ValueError("error_curve: start must not be the solution itself, got norm 0")
    factors = np.abs(1.0 - step_size * np.asarray(eigenvalues, dtype=np.float64))
    decay = factors[None, :] ** (2.0 * np.asarray(steps, dtype=np.float64)[:, None])
    return np.sqrt(decay @ shares / shares.sum())


def _check_spectrum(where: str, smallest: float, largest: float) -> None:
    checks.positive(where, largest=largest)
    checks.at_least(where, smallest=(smallest, 0.0))
    checks.at_least(where, largest=(largest, smallest))
