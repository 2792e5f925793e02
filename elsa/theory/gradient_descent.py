"""Rates of gradient descent on a quadratic, in particular ridge regression.

Throughout, A = X^T X + lam I has eigenvalues in [smallest, largest], kappa is their ratio, and
w <- w - eta (A w - X^T y) has the error w_t - w* = (I - eta A)^t (w_0 - w*).
Nesterov, Introductory Lectures on Convex Optimization (2004), Theorem 2.1.15.
"""

import math

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows
from elsa.theory import matrices
from elsa.theory.results import Interval, RidgeModes


def best_step_size(smallest: float, largest: float) -> float:
    """eta = 2 / (largest + smallest), which makes the worst contraction smallest.

    Raises:
      ValueError: unless 0 <= smallest <= largest and largest > 0.
    """
    _check_spectrum("best_step_size", smallest, largest)
    return 2.0 / (largest + smallest)


def admissible_step_size(largest: float) -> Interval:
    """The open interval (0, 2 / largest) of step sizes for which gradient descent converges.

    Raises:
      ValueError: unless largest > 0.
    """
    checks.positive("admissible_step_size", largest=largest)
    return Interval(0.0, 2.0 / largest)


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
    checks.at_least("steps_to_reach", condition_number=(condition_number, 1.0))
    rate = contraction(condition_number)
    if rate == 1.0:
        raise ValueError(
            "steps_to_reach: condition_number must be finite, got inf: some errors never shrink"
        )
    return 1 if rate == 0.0 else math.ceil(math.log(tolerance) / math.log(rate))


def decay_rate(condition_number: float) -> float:
    """-log((kappa - 1)/(kappa + 1)): what log|w_t - w*| loses a step, late in the run.

    Infinite at condition number 1. For large kappa it is 2/kappa.

    Raises:
      ValueError: for a condition number below 1.
    """
    checks.at_least("decay_rate", condition_number=(condition_number, 1.0))
    rate = contraction(condition_number)
    return math.inf if rate == 0.0 else -math.log(rate)


def ridge_modes(
    X: Real[ArrayLike, "*tasks n d"] | Rows,
    y: Real[ArrayLike, "*tasks n"] | Numbers | Rows,
    lam: float,
    w: Real[ArrayLike, "*tasks d"] | Numbers | Rows | None = None,
) -> RidgeModes:
    """A ridge problem as gradient descent sees it: what `error_curve` needs.

    With A = X^T X + lam I = V diag(a) V^T, the solution is w* = V diag(1/a) V^T X^T y.

    Args:
      X, y: one problem, or several along leading axes.
      lam: the regulariser.
      w: where to start; zeros by default.

    Returns:
      The eigenvalues a, smallest first, and the start V^T (w - w*).

    Raises:
      ValueError: for shapes that do not fit, lam < 0, or an A that is singular in float64.
    """
    where = "ridge_modes"
    for name, (array, axes) in {"X": (X, "... n d"), "y": (y, "... n")}.items():
        matrices.data(where, **{name: (array, axes)})
    data, labels = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    checks.same_shape(where, "rows of X", data.shape[:-1], "y", labels.shape)
    checks.at_least(where, lam=(lam, 0.0))
    checks.finite(where, lam=lam)
    if w is not None:
        matrices.data(where, X=(X, "... n d"), w=(w, "... d"))
        if np.shape(w)[:-1] not in ((), data.shape[:-2]):
            raise ValueError(
                f"{where}: w must have shape {(*data.shape[:-2], data.shape[-1])}, "
                f"got {np.shape(w)}"
            )
    transposed = np.swapaxes(data, -1, -2)
    values, vectors = np.linalg.eigh(transposed @ data)
    values = np.maximum(values, 0.0) + lam
    if not np.all(values[..., :1] > np.finfo(np.float64).eps * values.shape[-1] * values[..., -1:]):
        raise ValueError(
            "ridge_modes: X^T X + lam I must be invertible, but its smallest eigenvalue is "
            f"{values[..., 0].min():.3g} beside a largest of {values[..., -1].max():.3g}; a larger "
            f"lam than {lam:g} helps, or leaving out covariates that depend on others"
        )
    back = np.swapaxes(vectors, -1, -2)
    solution = (back @ (transposed @ labels[..., None]))[..., 0] / values
    begin = 0.0 if w is None else (back @ np.asarray(w, dtype=np.float64)[..., None])[..., 0]
    return RidgeModes(values, begin - solution)


def error_curve(
    eigenvalues: Real[ArrayLike, " d"] | Numbers,
    start: Real[ArrayLike, "*tasks d"] | Numbers | Rows,
    step_size: float,
    steps: Real[ArrayLike, " t"] | Numbers,
) -> Float[np.ndarray, "*tasks t"]:
    """|w_t - w*| / |w_0 - w*|, exact for a given start, without running the iteration.

        |w_t - w*|^2 = sum_i (1 - eta a_i)^{2 t} s_i^2

    Args:
      eigenvalues: a_i of A, [d].
      start: s_i, the coordinates of w_0 - w* in A's eigenvectors, [d]; or of several tasks with
        the same eigenvalues, along leading axes.
      step_size: eta.
      steps: t, [t], integers.

    Raises:
      ValueError: for shapes that do not fit, or a start of norm 0.
    """
    places = np.atleast_1d(matrices.real("error_curve", "start", start))
    checks.shapes("error_curve", eigenvalues=(eigenvalues, "d"), steps=(steps, "t"))
    checks.positive("error_curve", step_size=step_size)
    values = matrices.real("error_curve", "eigenvalues", eigenvalues)
    if places.shape[-1] != values.size:
        raise ValueError(
            f"error_curve: start must have shape (..., d={values.size}), got {np.shape(start)}; "
            "d is that of eigenvalues"
        )
    shares = places**2
    if not np.all(total := shares.sum(axis=-1, keepdims=True)):
        raise ValueError("error_curve: start must not be the solution itself, got norm 0")
    times = matrices.rounds("error_curve", steps)
    factors = np.abs(1.0 - step_size * matrices.spectrum("error_curve", values))
    with np.errstate(over="ignore"):  # a step size that diverges reaches infinity
        decay = factors[:, None] ** (2.0 * times)
    errors: np.ndarray = np.sqrt((shares / total) @ decay)
    return errors


def _check_spectrum(where: str, smallest: float, largest: float) -> None:
    checks.positive(where, largest=largest)
    checks.at_least(where, smallest=(smallest, 0.0))
    if smallest > largest:
        raise ValueError(f"{where}: largest must be at least smallest={smallest}, got {largest}")
