"""Factories of steps: each with one step on blocks of its own, so that numbers are compared."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

from elsa import algorithms
from tests.inputs.calls import Call, call
from tests.precision.data import DIM, MATRIX


def _with_a_step(factory: Callable[..., Any]) -> Callable[..., Any]:
    """The factory and one step, at t = 1, on square blocks, columns and numbers."""

    @functools.wraps(factory)
    def run(**arguments: Any) -> Any:
        step = factory(**arguments)
        rng, blocks = np.random.default_rng(0), dict[str, Any]()
        for name, parameter in inspect.signature(step).parameters.items():
            kinds = typing.get_args(parameter.annotation) or (parameter.annotation,)
            axes = "" if name == "t" else kinds[0].dim_str
            blocks[name] = rng.normal(size=[1 if axis == "1" else DIM for axis in axes.split()])
        return step(**blocks | ({"t": 1} if "t" in blocks else {}))

    return run


def _one(factory: Callable[..., Any], /, **arguments: Any) -> Call:
    return call(_with_a_step(factory), **arguments)


def calls() -> dict[str, Call]:
    named = {
        "chebyshev": _one(algorithms.chebyshev, smallest=1.0, largest=3.0),
        "gd_plus_plus": _one(algorithms.gd_plus_plus, step_size=0.1, curvature=0.1),
        "gradient_descent": _one(algorithms.gradient_descent, step_size=0.1),
        "heavy_ball": _one(algorithms.heavy_ball, step_size=0.1, momentum=0.1),
        "lyapunov": _one(algorithms.lyapunov, step_size=0.1),
        "matrix_factorisation": _one(algorithms.matrix_factorisation, step_size=0.1),
        "matrix_polynomial": _one(algorithms.matrix_polynomial, coefficients=np.array([1.0, 2.0])),
        "matrix_power": _one(algorithms.matrix_power, exponent=3),
        "multi_output_ridge": _one(algorithms.multi_output_ridge, step_size=0.1),
        "newton_schulz_inverse": _one(algorithms.newton_schulz_inverse),
        "newton_schulz_ridge": _one(algorithms.newton_schulz_ridge),
        "oja_flow": _one(algorithms.oja_flow, step_size=0.1),
        "polar": _one(algorithms.polar),
        "power_iteration": _one(algorithms.power_iteration, scale=2.0),
        "preconditioned_gradient_descent": _one(
            algorithms.preconditioned_gradient_descent, preconditioner=MATRIX
        ),
        "sylvester": _one(algorithms.sylvester, step_size=0.1),
    }
    return {f"algorithms.{name}": one for name, one in named.items()}
