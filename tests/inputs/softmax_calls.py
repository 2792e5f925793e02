"""Softmax regression: problems of a vector and of a matrix, their methods, and functions."""

import dataclasses

import jax
import numpy as np

from elsa import softmax_regression as sr
from elsa.softmax_regression import Problem
from tests.inputs.calls import Call, Made, call
from tests.precision.data import normal

_KEY = jax.random.key(0)
_DATA = {"a1": normal(4, 2), "a2": normal(3, 2), "b": np.full((4, 3), 1 / 3)}
_MATRIX = Problem(**_DATA)
_RESCALED = Problem(**_DATA, kind="rescaled")
_M, _W = normal(2, 2), normal(2, 2)
_SIDES = {"x": _M, "x_next": _W, "side": "queries"}


def calls() -> dict[str, Call]:
    moved = dataclasses.replace(_MATRIX, a2=_MATRIX.a2 + 1.0)
    ball = {"radius": 1.0, "of": "gradient", "sharp": True}
    methods = {
        "Problem": call(Problem, **_DATA, kind="normalized"),
        "Problem.single": call(
            Problem.single, a=normal(4, 3), b=np.full(4, 0.25), kind="normalized"
        ),
        "Problem.planted": call(
            lambda x, a1, a2, kind: Problem.planted(x, a1, a2, kind=kind),
            x=_M,
            a1=_DATA["a1"],
            a2=_DATA["a2"],
            kind="normalized",
        ),
        "Problem.probabilities": call(_MATRIX.probabilities, x=_M),
        "Problem.loss": call(_MATRIX.loss, x=_M),
        "Problem.log_loss": call(_MATRIX.log_loss, x=_M),
        "Problem.gradient": call(_MATRIX.gradient, x=_M),
        "Problem.hvp": call(_MATRIX.hvp, x=_M, v=_W),
        "Problem.dense_hessian": call(_MATRIX.dense_hessian, x=_M),
        "Problem.gradient_path": call(_MATRIX.gradient_path, x=_M, step_size=0.1, steps=2),
        "Problem.weight_shift": call(_MATRIX.weight_shift, **_SIDES),
        "Problem.trajectory_shift": call(
            _MATRIX.trajectory_shift, path=np.stack([_M, _W]), side="keys"
        ),
        "Problem.context_shift": call(_MATRIX.context_shift, x=_M, after=Made(lambda: moved)),
        "Problem.solve": call(
            _MATRIX.solve, method="newton-cg", init=_M, tolerance=1e-3, max_iterations=2
        ),
        "Problem.sampled_ratios": call(
            _MATRIX.sampled_ratios, key=_KEY, radius=1.0, of="gradient", pairs=2
        ),
        "Problem.lipschitz": call(_RESCALED.lipschitz, **ball),
        "Problem.row_lipschitz": call(_RESCALED.row_lipschitz, **ball),
        "Problem.identifiable_part": call(_MATRIX.identifiable_part, x=_M),
    }
    penalised = sr.Penalised(Problem(**_DATA, kind="cross_entropy"), l2=0.5)
    methods |= {
        "Penalised": call(
            sr.Penalised, problem=Made(lambda: _MATRIX), l2=0.5, sample_weight=np.ones(4)
        ),
        "Penalised.loss": call(penalised.loss, x=_M),
        "Penalised.gradient": call(penalised.gradient, x=_M),
        "Penalised.hvp": call(penalised.hvp, x=_M, v=_W),
        "Penalised.dense_hessian": call(penalised.dense_hessian, x=_M),
        "Penalised.solve": call(
            penalised.solve, method="newton-cg", init=_M, tolerance=1e-3, max_iterations=2
        ),
        "Penalised.lipschitz": call(
            sr.Penalised(_RESCALED, l2=0.5).lipschitz, radius=1.0, sharp=True
        ),
    }
    functions = {
        "softmax_attention": call(
            sr.softmax_attention, a=normal(4, 3), weight=normal(3, 3), value=normal(3, 3)
        ),
        "step_as_attention": call(
            sr.step_as_attention, x=normal(3), x_next=normal(3), sharpness=2.0
        ),
        "worst_case_lipschitz": call(
            sr.worst_case_lipschitz,
            rows=4,
            radius=1.0,
            kind="normalized",
            of="gradient",
            label_norm=1.0,
        ),
        "curvature_bound": call(sr.curvature_bound, spread=0.5),
        "label_operator_norm": call(sr.label_operator_norm, b=np.full(4, 0.25)),
    }
    named = {**methods, **functions}
    return {f"softmax_regression.{name}": one for name, one in named.items()}
