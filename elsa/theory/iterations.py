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

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows
from elsa.theory.results import HeavyBall


def accelerated_rate(condition_number: float) -> float:
    """q = (sqrt kappa - 1)/(sqrt kappa + 1), the best rate of a method of polynomials.

    Raises:
      ValueError: for a condition number below 1.
    """
    checks.at_least("accelerated_rate", condition_number=(condition_number, 1.0))
    root = math.sqrt(condition_number)
    return (root - 1.0) / (root + 1.0)


def best_heavy_ball(smallest: float, largest: float) -> HeavyBall:
    """Step size 4/(sqrt L + sqrt m)^2 and momentum q^2, the best pair.

    Raises:
      ValueError: unless 0 < smallest <= largest.
    """
    checks.positive("best_heavy_ball", smallest=smallest)
    checks.at_least("best_heavy_ball", largest=(largest, smallest))
    step_size = 4.0 / (math.sqrt(largest) + math.sqrt(smallest)) ** 2
    return HeavyBall(step_size, accelerated_rate(largest / smallest) ** 2)


def heavy_ball_bound(
    condition_number: float, steps: Int[ArrayLike, "t *more"] | Sequence[int]
) -> Float[np.ndarray, "t *more"]:
    """(1 + (1 + q) t) q^t, from rest: it first grows, by up to about sqrt(kappa)/e."""
    q, t = accelerated_rate(condition_number), np.asarray(steps, dtype=np.float64)
    return (1.0 + (1.0 + q) * t) * q**t


def heavy_ball_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, step_size: float, momentum: float, last: int
) -> Float[np.ndarray, "t d"]:
    """p_t(a) for t = 0 .. last: p_{t+1} = (1 - eta a + beta) p_t - beta p_{t-1}, p_{-1} = p_0 = 1.

    Raises:
      TypeError, ValueError: for a last step that is no integer of at least 0.
    """
    checks.integer("heavy_ball_factors", last=(last, 0))
    a = np.asarray(eigenvalues, dtype=np.float64)
    factors = np.ones((last + 1, a.size))
    before = np.ones_like(a)
    for t in range(last):
        now = factors[t]
        factors[t + 1] = (1.0 - step_size * a + momentum) * now - momentum * before
        before = now
    return factors


def chebyshev_bound(
    condition_number: float, steps: Int[ArrayLike, "t *more"] | Sequence[int]
) -> Float[np.ndarray, "t *more"]:
    """2 q^t / (1 + q^{2t}) = 1 / T_t((kappa + 1)/(kappa - 1)), the best possible on [m, L]."""
    power = accelerated_rate(condition_number) ** np.asarray(steps, dtype=np.float64)
    return 2.0 * power / (1.0 + power**2)


def chebyshev_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, smallest: float, largest: float, last: int
) -> Float[np.ndarray, "t d"]:
    """p_t(a) = T_t((L + m - 2 a)/(L - m)) / T_t((L + m)/(L - m)) for t = 0 .. last, a in [m, L].

    At L = m, where one step is exact, 1 and then 0.

    Raises:
      TypeError, ValueError: for a last step that is no integer of at least 0, or unless
        0 < smallest <= largest.
    """
    checks.integer("chebyshev_factors", last=(last, 0))
    checks.positive("chebyshev_factors", smallest=smallest)
    checks.at_least("chebyshev_factors", largest=(largest, smallest))
    t = np.arange(last + 1)[:, None]
    a = np.asarray(eigenvalues, dtype=np.float64)
    if largest == smallest:
        return np.where(t == 0, 1.0, 0.0) * np.ones_like(a)
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
    return np.power(float(residual), 2.0 ** np.asarray(steps, dtype=np.float64))


def newton_schulz_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers,
    scale: Real[ArrayLike, "*tasks"] | Numbers | Rows,
    last: int,
) -> Float[np.ndarray, "*tasks t d"]:
    """(1 - c a)^{2^t} for Z_0 = c I and t = 0 .. last: of w_t = Z_t X^T y against w*.

    Raises:
      TypeError, ValueError: for a last step that is no integer of at least 0.
    """
    checks.integer("newton_schulz_factors", last=(last, 0))
    base = 1.0 - np.asarray(scale)[..., None, None] * np.asarray(eigenvalues, dtype=np.float64)
    powers = np.abs(base) ** (2.0 ** np.arange(last + 1, dtype=np.float64)[:, None])
    powers[..., :1, :] = base
    return powers


def gradient_descent_factors(
    eigenvalues: Real[ArrayLike, " d"] | Numbers, step_size: float, last: int
) -> Float[np.ndarray, "t d"]:
    """(1 - eta a)^t for t = 0 .. last.

    Raises:
      TypeError, ValueError: for a last step that is no integer of at least 0.
    """
    checks.integer("gradient_descent_factors", last=(last, 0))
    base = 1.0 - step_size * np.asarray(eigenvalues, dtype=np.float64)
    return base[None, :] ** np.arange(last + 1)[:, None]


def relative_errors(
    factors: Real[ArrayLike, "*tasks t d"] | Rows,
    start: Real[ArrayLike, "*tasks d"] | Numbers | Rows,
) -> Float[np.ndarray, "*tasks t"]:
    """|w_t - w*| / |w_0 - w*|, from the factors p_t(a_i) and w_0 - w* in A's eigenvectors.

    Raises:
      ValueError: for a start of norm 0, the solution itself.
    """
    shares = np.asarray(start, dtype=np.float64) ** 2
    total = shares.sum(axis=-1, keepdims=True)
    if not np.all(total > 0):
        raise ValueError("relative_errors: start must not be the solution itself, got norm 0")
    squares = np.asarray(factors, dtype=np.float64) ** 2
    errors: np.ndarray = np.sqrt(np.einsum("...td,...d->...t", squares, shares / total))
    return errors


def steps_until(bound: Callable[[np.ndarray], np.ndarray], tolerance: float) -> int:
    """The first step from which a bound stays at or below a tolerance.

    The bound is looked at on 0 .. 2^k for growing k until its last quarter is below.

    Raises:
      ValueError: for a tolerance outside (0, 1), or a bound that is not reached in 2^30 steps.
    """
    checks.interval(
        "steps_until", tolerance, 0.0, 1.0, name="tolerance", reason="it is a relative error"
    )
    for k in range(3, 31):
        values = bound(np.arange(2**k))
        if np.all(values[-(2**k) // 4 :] <= tolerance):
            return int(settled_at(values, tolerance))
    raise ValueError(f"steps_until: the bound stays above tolerance={tolerance:g}")


def settled_at(
    errors: Real[ArrayLike, "*tasks t"] | Numbers | Rows, tolerance: float
) -> Int[np.ndarray, "*tasks"]:
    """The first index from which a curve stays at or below a tolerance; its length if never."""
    found = np.asarray(errors)
    above = ~(found <= tolerance)
    last = found.shape[-1] - 1 - np.argmax(above[..., ::-1], axis=-1)
    return np.where(above.any(axis=-1), last + 1, 0)
