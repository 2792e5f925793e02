"""Matrix iterations: inverses, powers, subspaces, linear matrix equations, one step at a time."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from elsa.algorithms.first_order import Matrix, Step
from elsa.base import checks


def newton_schulz_inverse() -> Step:
    """One step of Newton's iteration for the inverse.

        Z <- 2 Z - Z A Z

    I - A Z <- (I - A Z)^2 exactly. From Z = c A^T, or c I for symmetric positive definite A, it
    converges for every c in (0, 2 / |A|^2), or (0, 2 / |A|); c = 1 / (|A|_1 |A|_inf), or 1 / |A|_1,
    needs no eigenvalues. Schulz, Iterative Berechnung der reziproken Matrix (ZAMM 13, 1933).

    Returns:
      step(A, Z) -> {"Z": ...} for A and Z [d, d].
    """

    def step(A: Float[Matrix, "d d"], Z: Float[Matrix, "d d"]) -> dict[str, Float[Matrix, "d d"]]:
        return {"Z": 2.0 * Z - Z @ A @ Z}

    return step


def newton_schulz_ridge() -> Step:
    """One step of Newton's iteration for (X^T X + lam I)^-1, and the ridge solution through it.

        A = X^T X + lam I       Z <- 2 Z - Z A Z       w = Z X^T y

    From Z = c I, c in (0, 2 / |A|), the residual I - A Z squares at every step: log2(kappa) + 4
    steps to 1e-10 with c = 2 / (smallest + largest eigenvalue), two to three more with
    c = 1 / |A|_1. Source as `newton_schulz_inverse`.

    Returns:
      step(X, y, lam, Z, w) -> {"Z": ..., "w": ...} for X [n, d], y [n, 1], lam [1, 1], Z [d, d],
      w [d, 1]; what w holds before does not matter.
    """

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n 1"],
        lam: Float[Matrix, "1 1"],
        Z: Float[Matrix, "d d"],
        w: Float[Matrix, "d 1"],
    ) -> dict[str, Float[Matrix, "d _"]]:
        A = X.T @ X + lam * jnp.eye(X.shape[1])
        Z = 2.0 * Z - Z @ A @ Z
        return {"Z": Z, "w": Z @ (X.T @ y)}

    return step


def matrix_power(exponent: int) -> Step:
    """Multiplies by a power of a matrix.

        P <- A^k P

    After t steps A^{k t} P. Compiled, A^k takes about log_3 k layers once, and every step one.

    Args:
      exponent: k, at least 1.

    Returns:
      step(A, P) -> {"P": ...} for A [d, d] and P [d, k].

    Raises:
      TypeError, ValueError: for an exponent that is not an integer of at least 1.
    """
    checks.size("matrix_power", exponent=(exponent, 1))

    def step(A: Float[Matrix, "d d"], P: Float[Matrix, "d k"]) -> dict[str, Float[Matrix, "d k"]]:
        for _ in range(exponent):
            P = A @ P
        return {"P": P}

    return step


def matrix_polynomial(coefficients: Sequence[float]) -> Step:
    """Multiplies by a polynomial of a matrix, by Horner's rule.

        P <- (c_0 I + c_1 A + ... + c_k A^k) P

    After t steps the t-th power of the polynomial, times P.

    Args:
      coefficients: c_0, c_1, ..., c_k, at least one.

    Returns:
      step(A, P) -> {"P": ...} for A [d, d] and P [d, k].

    Raises:
      ValueError: for no coefficients, or one that is not finite.
    """
    checks.finite("matrix_polynomial", coefficients=coefficients)
    if np.size(coefficients) == 0:
        raise ValueError("matrix_polynomial: coefficients must name at least c_0, got none")
    checks.shapes("matrix_polynomial", coefficients=(coefficients, "k"))
    numbers = tuple(float(c) for c in coefficients)

    def step(A: Float[Matrix, "d d"], P: Float[Matrix, "d k"]) -> dict[str, Float[Matrix, "d k"]]:
        total = numbers[-1] * P
        for number in numbers[-2::-1]:
            total = A @ total + number * P
        return {"P": total}

    return step


def power_iteration(scale: float = 1.0) -> Step:
    """One step of the power method without normalisation.

        v <- s A v

    v tends to the eigenvector of the largest eigenvalue in magnitude, the direction's error by the
    ratio of the two largest a step; its length grows by s |lambda_1|, so that s near
    1 / |lambda_1| keeps it finite. Golub, Van Loan, Matrix Computations, section 7.3.

    Args:
      scale: s.

    Returns:
      step(A, v) -> {"v": ...} for A [d, d] and v [d, k].

    Raises:
      ValueError: for a scale that is not finite and above 0.
    """
    checks.positive("power_iteration", scale=scale)

    def step(A: Float[Matrix, "d d"], v: Float[Matrix, "d k"]) -> dict[str, Float[Matrix, "d k"]]:
        return {"v": scale * (A @ v)}

    return step


def oja_flow(step_size: float) -> Step:
    """One Euler step of Oja's flow towards the principal subspace of a symmetric matrix.

        W <- W + eta (C W - W W^T C W)

    Fixed points have W W^T the projection on eigenvectors of C; the leading ones attract. Near them
    the part outside the subspace contracts by 1 + eta (c_j - c_i) for a leading eigenvalue c_i and
    another c_j, and W^T W - I by 1 - eta (c_i + c_j), both leading. Oja, Neural networks, principal
    components, and subspaces (Int. J. Neural Systems 1, 1989).

    Args:
      step_size: eta.

    Returns:
      step(C, W) -> {"W": ...} for C [d, d] symmetric and W [d, k].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("oja_flow", step_size=step_size)

    def step(C: Float[Matrix, "d d"], W: Float[Matrix, "d k"]) -> dict[str, Float[Matrix, "d k"]]:
        gain = C @ W
        return {"W": W + step_size * (gain - W @ (W.T @ gain))}

    return step


def sylvester(step_size: float) -> Step:
    """One step of gradient descent on |A X + X B - C|_F^2 / 2.

        R = A X + X B - C       X <- X - eta (A^T R + R B^T)

    The error contracts by 1 - eta s^2 along the singular directions of X -> A X + X B, s its
    singular values; it converges for eta < 2 / s_max^2 where A and -B share no eigenvalue. For
    normal A and B, s = |a_i + b_j|.

    Args:
      step_size: eta.

    Returns:
      step(A, B, C, X) -> {"X": ...} for A [n, n], B [k, k], C and X [n, k].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("sylvester", step_size=step_size)

    def step(
        A: Float[Matrix, "n n"],
        B: Float[Matrix, "k k"],
        C: Float[Matrix, "n k"],
        X: Float[Matrix, "n k"],
    ) -> dict[str, Float[Matrix, "n k"]]:
        residual = A @ X + X @ B - C
        return {"X": X - step_size * (A.T @ residual + residual @ B.T)}

    return step


def lyapunov(step_size: float) -> Step:
    """One step of gradient descent on |A X + X A^T + Q|_F^2 / 2, the continuous Lyapunov equation.

        R = A X + X A^T + Q     X <- X - eta (A^T R + R A)

    `sylvester` with B = A^T and C = -Q; for normal A the error contracts by 1 - eta |a_i + a_j|^2.

    Args:
      step_size: eta.

    Returns:
      step(A, Q, X) -> {"X": ...} for A, Q and X [d, d].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("lyapunov", step_size=step_size)

    def step(
        A: Float[Matrix, "d d"],
        Q: Float[Matrix, "d d"],
        X: Float[Matrix, "d d"],
    ) -> dict[str, Float[Matrix, "d d"]]:
        residual = A @ X + X @ A.T + Q
        return {"X": X - step_size * (A.T @ residual + residual @ A)}

    return step


def matrix_factorisation(step_size: float) -> Step:
    """One step of gradient descent on |U V^T - M|_F^2 / 2, both factors at once.

        R = U V^T - M       U <- U - eta R V        V <- V - eta R^T U

    Saddle points and no other local minima (Baldi, Hornik, Neural networks and principal component
    analysis, 1989). From U = P diag(u), V = Q diag(v) with P and Q singular vectors of M every
    singular value s evolves on its own, u <- u - eta (u v - s) v and v <- v - eta (u v - s) u.

    Args:
      step_size: eta.

    Returns:
      step(M, U, V) -> {"U": ..., "V": ...} for M [n, k], U [n, r], V [k, r].

    Raises:
      ValueError: for a step size that is not finite and above 0.
    """
    checks.positive("matrix_factorisation", step_size=step_size)

    def step(
        M: Float[Matrix, "n k"],
        U: Float[Matrix, "n r"],
        V: Float[Matrix, "k r"],
    ) -> dict[str, Float[Matrix, "_ r"]]:
        residual = U @ V.T - M
        return {"U": U - step_size * (residual @ V), "V": V - step_size * (residual.T @ U)}

    return step


def polar() -> Step:
    """One step of the Newton-Schulz iteration for the polar factor.

        Y <- (3 Y - Y Y^T Y) / 2

    Singular vectors stay, singular values go s <- s (3 - s^2) / 2 to 1 from anywhere in
    (0, sqrt(3)), with e = 1 - s^2 as e <- e^2 (3 + e) / 4. At full rank it converges to
    A (A^T A)^(-1/2) for a tall start A. Higham, Functions of Matrices (2008), section 8.3.

    Returns:
      step(Y) -> {"Y": ...} for Y [n, d].
    """

    def step(Y: Float[Matrix, "n d"]) -> dict[str, Float[Matrix, "n d"]]:
        return {"Y": 1.5 * Y - 0.5 * (Y @ (Y.T @ Y))}

    return step
