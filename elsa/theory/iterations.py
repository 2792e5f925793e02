"""Errors of heavy ball, the Chebyshev semi-iteration and Newton-Schulz on a quadratic.

A = X^T X + lam I has eigenvalues a_i in [smallest, largest] = [m, L], kappa = L/m, and
q = (sqrt kappa - 1)/(sqrt kappa + 1). An iteration from w_0 multiplies the error's coordinate along
the i-th eigenvector by a factor p_t(a_i); `*_factors` give it exactly, `*_bound` its largest size
over all spectra in [m, L].
Polyak (1964); Golub, Varga (1961); Schulz (1933), Higham, Functions of Matrices (2008), Section 7.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Real

from elsa.base import checks, functions
from elsa.base.arrays import Numbers, Rows
from elsa.theory import matrices
from elsa.theory.results import HeavyBall


def accelerated_rate(condition_number: float) -> float:
    """q = (sqrt kappa - 1)/(sqrt kappa + 1), the best rate of a method of polynomials.

    Raises:
      ValueError: for a condition number below 1.
    """
    checks.at_least("accelerated_rate", condition_number=(condition_number, 1.0))
    if math.isinf(condition_number):
        return 1.0
    root = math.sqrt(condition_number)
    return (root - 1.0) / (root + 1.0)


def best_heavy_ball(smallest: float, largest: float) -> HeavyBall:
    """Step size 4/(sqrt L + sqrt m)^2 and momentum q^2, the best pair.

    Raises:
      ValueError: unless 0 < smallest <= largest.
    """
    _bounds("best_heavy_ball", smallest, largest)
    step_size = 4.0 / (math.sqrt(largest) + math.sqrt(smallest)) ** 2
    return HeavyBall(step_size, accelerated_rate(largest / smallest) ** 2)


def heavy_ball_bound(
    condition_number: float, steps: Int[ArrayLike, "t *more"] | Sequence[int]
) -> Float[np.ndarray, "t *more"]:
    """(1 + (1 + q) t) q^t, from rest: it first grows, by up to about sqrt(kappa)/e."""
    q, t = accelerated_rate(condition_number), matrices.rounds("heavy_ball_bound", steps)
    return (1.0 + (1.0 + q) * t) * q**t


def heavy_ball_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, step_size: float, momentum: float, last: int
) -> Float[np.ndarray, "t d"]:
    """p_t(a) for t = 0 .. last: p_{t+1} = (1 - eta a + beta) p_t - beta p_{t-1}, p_{-1} = p_0 = 1.

    Raises:
      TypeError, ValueError: for a last step that is not an integer of at least 0, and for a step
        size with which the factors overflow.
    """
    where = "heavy_ball_factors"
    checks.size(where, last=(last, 0))
    checks.positive(where, step_size=step_size)
    checks.at_least(where, momentum=(momentum, 0.0))
    checks.interval(where, momentum, -math.inf, 1.0, name="momentum", reason="it would not settle")
    a = matrices.spectrum(where, eigenvalues)
    factors = np.ones((last + 1, a.size))
    before = np.ones_like(a)
    with np.errstate(over="ignore", invalid="ignore"):  # said below
        for t in range(last):
            now = factors[t]
            factors[t + 1] = (1.0 - step_size * a + momentum) * now - momentum * before
            before = now
    if not np.isfinite(factors).all():
        raise ValueError(
            f"{where}: with step_size={step_size:g} the factors of {last} steps overflow; it must "
            "be smaller, or last"
        )
    return factors


def chebyshev_bound(
    condition_number: float, steps: Int[ArrayLike, "t *more"] | Sequence[int]
) -> Float[np.ndarray, "t *more"]:
    """2 q^t / (1 + q^{2t}) = 1 / T_t((kappa + 1)/(kappa - 1)), the best possible on [m, L]."""
    power = accelerated_rate(condition_number) ** matrices.rounds("chebyshev_bound", steps)
    return 2.0 * power / (1.0 + power**2)


def chebyshev_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, smallest: float, largest: float, last: int
) -> Float[np.ndarray, "t d"]:
    """p_t(a) = T_t((L + m - 2 a)/(L - m)) / T_t((L + m)/(L - m)) for t = 0 .. last, a in [m, L].

    At L = m, where one step is exact, 1 and then 0.

    Raises:
      TypeError, ValueError: for a last step that is not an integer of at least 0, or unless
        0 < smallest <= largest.
    """
    where = "chebyshev_factors"
    checks.size(where, last=(last, 0))
    _bounds(where, smallest, largest)
    a = matrices.spectrum(where, eigenvalues)
    slack = 8.0 * a.size * float(np.finfo(np.float32).eps) * largest
    if a.min() < smallest - slack or a.max() > largest + slack:
        raise ValueError(
            f"{where}: eigenvalues must lie in [smallest, largest] = [{smallest:g}, {largest:g}], "
            f"got {a.min():g} to {a.max():g}"
        )
    t = np.arange(last + 1)[:, None]
    if largest == smallest:
        at_once: np.ndarray = np.where(t == 0, 1.0, 0.0) * np.ones_like(a)
        return at_once
    place = np.clip((largest + smallest - 2.0 * a) / (largest - smallest), -1.0, 1.0)
    factors: np.ndarray = np.cos(t * np.arccos(place)) * chebyshev_bound(largest / smallest, t)
    return factors


def newton_schulz_bound(
    residual: float, steps: Int[ArrayLike, "t *more"] | Sequence[int]
) -> Float[np.ndarray, "t *more"]:
    """r^{2^t} for |I - A Z_0| = r: the residual squares at every step.

    Raises:
      ValueError: for a residual outside [0, 1), for which the iteration does not converge.
    """
    checks.at_least("newton_schulz_bound", residual=(residual, 0.0))
    checks.interval(
        "newton_schulz_bound", residual, -1.0, 1.0, name="residual", reason="it would not shrink"
    )
    times = matrices.rounds("newton_schulz_bound", steps)
    with np.errstate(over="ignore"):  # an exponent of infinity gives the limit, 0
        bound: np.ndarray = np.power(float(residual), 2.0**times)
    return bound


def newton_schulz_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers,
    scale: Real[ArrayLike, "*tasks"] | Numbers | Rows,
    last: int,
) -> Float[np.ndarray, "*tasks t d"]:
    """(1 - c a)^{2^t} for Z_0 = c I and t = 0 .. last: of w_t = Z_t X^T y against w*.

    Raises:
      TypeError, ValueError: for a last step that is not an integer of at least 0.
    """
    where = "newton_schulz_factors"
    checks.size(where, last=(last, 0))
    scales = matrices.real(where, "scale", scale)
    if scales.size == 0 or np.any(scales <= 0):
        raise ValueError(f"{where}: scale must be above 0, got {scales.tolist()}")
    base = 1.0 - scales[..., None, None] * matrices.spectrum(where, eigenvalues)
    with np.errstate(over="ignore"):  # a scale that diverges reaches infinity
        powers: np.ndarray = np.abs(base) ** (2.0 ** np.arange(last + 1, dtype=np.float64)[:, None])
    powers[..., :1, :] = base
    return powers


def gradient_descent_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, step_size: float, last: int
) -> Float[np.ndarray, "t d"]:
    """(1 - eta a)^t for t = 0 .. last.

    Raises:
      TypeError, ValueError: for a last step that is not an integer of at least 0.
    """
    where = "gradient_descent_factors"
    checks.size(where, last=(last, 0))
    checks.positive(where, step_size=step_size)
    base = 1.0 - step_size * matrices.spectrum(where, eigenvalues)
    with np.errstate(over="ignore"):  # a step size that diverges reaches infinity
        return base[None, :] ** np.arange(last + 1)[:, None]


def relative_errors(
    factors: Real[ArrayLike, "*tasks t d"] | Rows,
    start: Real[ArrayLike, "*tasks d"] | Numbers | Rows,
) -> Float[np.ndarray, "*tasks t"]:
    """|w_t - w*| / |w_0 - w*|, from the factors p_t(a_i) and w_0 - w* in A's eigenvectors.

    Raises:
      ValueError: for a start of norm 0, the solution itself.
    """
    where = "relative_errors"
    matrices.data(where, factors=(factors, "... t d"), start=(start, "... d"))
    if np.shape(start)[:-1] not in ((), np.shape(factors)[:-2]) and np.ndim(factors) > 2:
        raise ValueError(
            f"{where}: start must have the leading axes of factors, {np.shape(factors)[:-2]}, "
            f"got shape {np.shape(start)}"
        )
    shares = matrices.real(where, "start", start) ** 2
    total = shares.sum(axis=-1, keepdims=True)
    if not np.all(total > 0):
        raise ValueError("relative_errors: start must not be the solution itself, got norm 0")
    squares = matrices.real(where, "factors", factors) ** 2
    errors: np.ndarray = np.sqrt(np.einsum("...td,...d->...t", squares, shares / total))
    return errors


def steps_until(bound: Callable[[np.ndarray], np.ndarray], tolerance: float) -> int:
    """The first step from which a bound stays at or below a tolerance.

    The bound is computed on 0 .. 2^k for growing k until its last quarter is below.

    Raises:
      ValueError: for a tolerance outside (0, 1), or a bound that is not reached in 2^30 steps.
    """
    checks.interval(
        "steps_until", tolerance, 0.0, 1.0, name="tolerance", reason="it is a relative error"
    )
    functions.function_of_one("steps_until", "a function of steps", bound=bound)
    for k in range(3, 31):
        values = bound(np.arange(2**k))
        checks.real("steps_until", bound=values)
        if np.shape(values) != (2**k,):
            raise ValueError(
                f"steps_until: bound must return a number for each of {2**k} steps, got shape "
                f"{np.shape(values)}"
            )
        if np.all(values[-(2**k) // 4 :] <= tolerance):
            return int(settled_at(values, tolerance))
    raise ValueError(f"steps_until: the bound stays above tolerance={tolerance:g}")


def settled_at(
    errors: Real[ArrayLike, "*tasks t"] | Numbers | Rows, tolerance: float
) -> Int[np.ndarray, "*tasks"]:
    """The first index from which a curve stays at or below a tolerance; its length if never."""
    checks.real("settled_at", errors=errors)
    checks.positive("settled_at", tolerance=tolerance)
    curve = np.asarray(errors)
    if curve.ndim == 0 or curve.size == 0 or np.any(curve < 0):
        raise ValueError(
            "settled_at: errors must be a curve of at least one error, each at least 0, got shape "
            f"{curve.shape}{f' and {curve.min()}' if curve.size else ''}"
        )
    above = ~(curve <= tolerance)
    last = curve.shape[-1] - 1 - np.argmax(above[..., ::-1], axis=-1)
    return np.where(above.any(axis=-1), last + 1, 0)


def _bounds(where: str, smallest: float, largest: float) -> None:
    """Refuses bounds of a spectrum that are not finite, above 0 and in order."""
    checks.positive(where, smallest=smallest, largest=largest)
    if largest < smallest:
        raise ValueError(f"{where}: largest must be at least smallest={smallest}, got {largest}")
