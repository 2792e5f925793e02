"""First-order methods for ridge regression, one step at a time.

Throughout A = X^T X + lam I has eigenvalues in [m, L], kappa = L / m, w* = A^-1 X^T y, and
q = (sqrt(kappa) - 1) / (sqrt(kappa) + 1).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks

Matrix = Array | np.ndarray  # of jax, traced or not, or of NumPy; a step returns the same kind
Step = Callable[..., dict[str, Any]]


def gradient_descent(step_size: float) -> Step:
    """One step of gradient descent on |y - X w|^2 / 2 + lam |w|^2 / 2.

        w <- w - eta (X^T (X w - y) + lam w)

    The error contracts by max_i |1 - eta (mu_i + lam)| a step, mu_i the eigenvalues of X^T X; with
    eta = 2 / (L + m) by (kappa - 1)/(kappa + 1). Nesterov, Introductory Lectures on Convex
    Optimization (2004), Theorem 2.1.15.

    Args:
      step_size: eta.

    Returns:
      step(X, y, w, lam) -> {"w": ...} for X [n, d], y [n, 1], w [d, 1], lam [1, 1].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("gradient_descent", step_size=step_size)

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n 1"],
        w: Float[Matrix, "d 1"],
        lam: Float[Matrix, "1 1"],
    ) -> dict[str, Float[Matrix, "d 1"]]:
        return {"w": w - step_size * (X.T @ (X @ w - y) + lam * w)}

    return step


def multi_output_ridge(step_size: float) -> Step:
    """Gradient descent on |Y - X W|_F^2 / 2 + lam |W|_F^2 / 2: k ridge problems with the same X.

        W <- W - eta (X^T (X W - Y) + lam W)

    Every column is a gradient descent of its own; rate and source as `gradient_descent`.

    Args:
      step_size: eta.

    Returns:
      step(X, Y, W, lam) -> {"W": ...} for X [n, d], Y [n, k], W [d, k], lam [1, 1].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("multi_output_ridge", step_size=step_size)

    def step(
        X: Float[Matrix, "n d"],
        Y: Float[Matrix, "n k"],
        W: Float[Matrix, "d k"],
        lam: Float[Matrix, "1 1"],
    ) -> dict[str, Float[Matrix, "d k"]]:
        return {"W": W - step_size * (X.T @ (X @ W - Y) + lam * W)}

    return step


def heavy_ball(*, step_size: float, momentum: float) -> Step:
    """One step of gradient descent with momentum, Polyak's heavy ball.

        v <- beta v - eta (X^T (X w - y) + lam w)
        w <- w + v

    so that w_{t+1} = w_t - eta (A w_t - X^T y) + beta (w_t - w_{t-1}). With
    eta = 4 / (sqrt(L) + sqrt(m))^2 and beta = q^2, and v = 0 at the start, the worst error after t
    steps is (1 + (1 + q) t) q^t, the best rate q with a linear factor in front. Starting from
    v = (eta - 2 / (L + m)) / beta times the gradient, the first step is plain gradient descent and
    the factor 1 + t (1 - q^2) / (1 + q^2).

    Polyak, Some methods of speeding up the convergence of iteration methods (1964).

    Args:
      step_size: eta.
      momentum: beta, in [0, 1).

    Returns:
      step(X, y, w, v, lam) -> {"w": ..., "v": ...} for X [n, d], y [n, 1], w and v [d, 1],
      lam [1, 1]; columns w and v are [d, k] where y is [n, k].

    Raises:
      ValueError: for a step size that is not finite and above 0, or a momentum outside [0, 1).
    """
    checks.positive("heavy_ball", step_size=step_size)
    checks.at_least("heavy_ball", momentum=(momentum, 0.0))
    checks.interval(
        "heavy_ball", momentum, -math.inf, 1.0, name="momentum", reason="it must shrink the past"
    )

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n k"],
        w: Float[Matrix, "d k"],
        v: Float[Matrix, "d k"],
        lam: Float[Matrix, "1 1"],
    ) -> dict[str, Float[Matrix, "d k"]]:
        v = momentum * v - step_size * (X.T @ (X @ w - y) + lam * w)
        return {"w": w + v, "v": v}

    return step


def chebyshev(*, smallest: float, largest: float) -> Step:
    """One step of the Chebyshev semi-iteration; its numbers change from step to step.

        p <- a_t p + b_t (X^T (y - X w) - lam w)
        w <- w + p

    With T_t the Chebyshev polynomials, sigma = (L + m) / (L - m), rho_t = T_t(sigma) /
    T_{t+1}(sigma): b_0 = 2 / (L + m), a_0 = 0, and from then on a_t = rho_t rho_{t-1},
    b_t = 4 rho_t / (L - m). The worst error after t steps is 2 q^t / (1 + q^{2t}), the smallest
    that any polynomial method can promise on [m, L].

    Golub, Varga, Chebyshev semi-iterative methods (Numer. Math. 3, 1961). The numbers are computed
    from q, T_t(sigma) = (q^t + q^-t) / 2, which neither overflows nor fails at kappa = 1.

    Args:
      smallest, largest: m and L, bounds of the eigenvalues of X^T X + lam I.

    Returns:
      step(X, y, w, p, lam, *, t) -> {"w": ..., "p": ...} for X [n, d], y [n, 1], w and p [d, 1],
      lam [1, 1], and t = 0, 1, ... the index of the step; what p holds at t = 0 does not matter.

    Raises:
      ValueError: unless 0 < smallest <= largest, both finite.
    """
    checks.positive("chebyshev", smallest=smallest, largest=largest)
    if largest < smallest:
        raise ValueError(f"chebyshev: largest must be at least smallest={smallest}, got {largest}")
    root = math.sqrt(largest / smallest)
    q, centre = (root - 1.0) / (root + 1.0), (largest + smallest) / 2.0

    def numbers(t: int) -> tuple[float, float]:
        if t == 0:
            return 0.0, 1.0 / centre
        below = 1.0 + q ** (2 * t + 2)
        return (
            q**2 * (1.0 + q ** (2 * t - 2)) / below,
            (1.0 + q**2) * (1.0 + q ** (2 * t)) / below / centre,
        )

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n 1"],
        w: Float[Matrix, "d 1"],
        p: Float[Matrix, "d 1"],
        lam: Float[Matrix, "1 1"],
        *,
        t: int,
    ) -> dict[str, Float[Matrix, "d 1"]]:
        kept, gained = numbers(t)
        p = kept * p + gained * (X.T @ (y - X @ w) - lam * w)
        return {"w": w + p, "p": p}

    return step
