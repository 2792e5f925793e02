"""First-order methods for ridge regression, one step at a time."""

from collections.abc import Callable

from jaxtyping import Array, Float

from elsa import checks

Step = Callable[..., dict[str, Array]]


def gradient_descent(step_size: float) -> Step:
    """One step of gradient descent on |y - X w|^2 / 2 + lam |w|^2 / 2.

        w <- w - eta (X^T (X w - y) + lam w)

    The error contracts by max_i |1 - eta (mu_i + lam)| a step, mu_i the eigenvalues of X^T X; with
    eta = 2 / (largest + smallest) by (kappa - 1)/(kappa + 1), kappa the condition number of
    X^T X + lam I. Nesterov, Introductory Lectures on Convex Optimization (2004), Theorem 2.1.15.

    Args:
      step_size: eta.

    Returns:
      step(X, y, w, lam) -> {"w": ...} for X [n, d], y [n, 1], w [d, 1], lam [1, 1].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("gradient_descent", step_size=step_size)

    def step(
        X: Float[Array, "n d"],
        y: Float[Array, "n 1"],
        w: Float[Array, "d 1"],
        lam: Float[Array, "1 1"],
    ) -> dict[str, Float[Array, "d 1"]]:
        return {"w": w - step_size * (X.T @ (X @ w - y) + lam * w)}

    return step
