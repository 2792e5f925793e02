"""Step functions in plain JAX, for `elsa.compile` to turn into attention layers."""

from elsa.algorithms.first_order import (
    chebyshev,
    gradient_descent,
    heavy_ball,
    multi_output_ridge,
)
from elsa.algorithms.in_context import gd_plus_plus, preconditioned_gradient_descent
from elsa.algorithms.matrix_iterations import (
    lyapunov,
    matrix_factorisation,
    matrix_polynomial,
    matrix_power,
    newton_schulz_inverse,
    newton_schulz_ridge,
    oja_flow,
    polar,
    power_iteration,
    sylvester,
)

__all__ = [
    "chebyshev",
    "gd_plus_plus",
    "gradient_descent",
    "heavy_ball",
    "lyapunov",
    "matrix_factorisation",
    "matrix_polynomial",
    "matrix_power",
    "multi_output_ridge",
    "newton_schulz_inverse",
    "newton_schulz_ridge",
    "oja_flow",
    "polar",
    "power_iteration",
    "preconditioned_gradient_descent",
    "sylvester",
]
