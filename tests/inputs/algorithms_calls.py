"""Factories of steps, and the steps' numbers."""

import numpy as np

from elsa import algorithms
from tests.inputs.calls import Call, call
from tests.precision.data import MATRIX


def calls() -> dict[str, Call]:
    named = {
        "chebyshev": call(algorithms.chebyshev, smallest=1.0, largest=3.0),
        "gd_plus_plus": call(algorithms.gd_plus_plus, step_size=0.1, curvature=0.1),
        "gradient_descent": call(algorithms.gradient_descent, step_size=0.1),
        "heavy_ball": call(algorithms.heavy_ball, step_size=0.1, momentum=0.1),
        "lyapunov": call(algorithms.lyapunov, step_size=0.1),
        "matrix_factorisation": call(algorithms.matrix_factorisation, step_size=0.1),
        "matrix_polynomial": call(algorithms.matrix_polynomial, coefficients=np.array([1.0, 2.0])),
        "matrix_power": call(algorithms.matrix_power, exponent=3),
        "multi_output_ridge": call(algorithms.multi_output_ridge, step_size=0.1),
        "newton_schulz_inverse": call(algorithms.newton_schulz_inverse),
        "newton_schulz_ridge": call(algorithms.newton_schulz_ridge),
        "oja_flow": call(algorithms.oja_flow, step_size=0.1),
        "polar": call(algorithms.polar),
        "power_iteration": call(algorithms.power_iteration, scale=2.0),
        "preconditioned_gradient_descent": call(
            algorithms.preconditioned_gradient_descent, preconditioner=MATRIX
        ),
        "sylvester": call(algorithms.sylvester, step_size=0.1),
    }
    return {f"algorithms.{name}": one for name, one in named.items()}
