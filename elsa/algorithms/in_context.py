"""In-context predictors that carry residual labels and a prediction, and no weight vector.

One layer a step: the labels of the context become residuals, and the prediction at the queries
grows by what the residuals explain.
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.algorithms.first_order import Matrix, Step
from elsa.base import checks
from elsa.base.arrays import Rows


def preconditioned_gradient_descent(preconditioner: Real[ArrayLike, "d d"] | Rows) -> Step:
    """One step of preconditioned gradient descent on least squares, seen from the labels.

        prediction <- prediction + Xq P X^T y
        y          <- y - X P X^T y

    From prediction = 0 the prediction is Xq w_t and y the residual y - X w_t of
    w <- w + P X^T (y - X w), w_0 = 0; one step is the predictor Xq P X^T y. The residual contracts
    by I - X P X^T. Ahn et al. (arXiv:2306.00297); one step: Li, Rawat, Oymak (arXiv:2407.10005),
    who write W for P.

    Args:
      preconditioner: P, which need not be symmetric.

    Returns:
      step(X, y, query_x, prediction) -> {"y": ..., "prediction": ...} for X [n, d], y [n, 1],
      query_x [k, d], prediction [k, 1].

    Raises:
      ValueError: for a preconditioner that is not a square matrix of finite numbers.
    """
    checks.real("preconditioned_gradient_descent", preconditioner=preconditioner)
    matrix = np.asarray(preconditioner)
    checks.shapes("preconditioned_gradient_descent", preconditioner=(matrix, "d d"))
    checks.finite("preconditioned_gradient_descent", preconditioner=matrix)

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n 1"],
        query_x: Float[Matrix, "k d"],
        prediction: Float[Matrix, "k 1"],
    ) -> dict[str, Float[Matrix, "_ 1"]]:
        direction = matrix @ (X.T @ y)
        return {"y": y - X @ direction, "prediction": prediction + query_x @ direction}

    return step


def gd_plus_plus(*, step_size: float, curvature: float) -> Step:
    """One step of GD++: gradient descent that also flattens the spectrum of the covariates.

        prediction <- prediction + eta Xq X^T y         y <- y - eta X X^T y
        X <- X - gamma X X^T X                         Xq <- Xq - gamma Xq X^T X

    With X = U diag(s) V^T every singular value evolves on its own, s <- s (1 - gamma s^2), and the
    residual along U by 1 - eta s^2 with the s of that step. Gamma below 1 / s_max^2 keeps all
    singular values positive; those near s_max shrink most, which lowers the condition number.
    Von Oswald et al. (arXiv:2212.07677), who write tokens as columns.

    Args:
      step_size: eta.
      curvature: gamma; 0 leaves plain gradient descent.

    Returns:
      step(X, y, query_x, prediction) -> all four, for X [n, d], y [n, 1], query_x [k, d],
      prediction [k, 1].

    Raises:
      ValueError: for a step size that is not finite and above 0, or a curvature that is not finite
        and at least 0.
    """
    checks.positive("gd_plus_plus", step_size=step_size)
    checks.finite("gd_plus_plus", curvature=curvature)
    checks.at_least("gd_plus_plus", curvature=(curvature, 0.0))

    def step(
        X: Float[Matrix, "n d"],
        y: Float[Matrix, "n 1"],
        query_x: Float[Matrix, "k d"],
        prediction: Float[Matrix, "k 1"],
    ) -> dict[str, Float[Matrix, "_ _"]]:
        return {
            "X": X - curvature * (X @ (X.T @ X)),
            "y": y - step_size * (X @ (X.T @ y)),
            "query_x": query_x - curvature * (query_x @ (X.T @ X)),
            "prediction": prediction + step_size * (query_x @ (X.T @ y)),
        }

    return step
