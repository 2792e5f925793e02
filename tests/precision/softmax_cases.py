"""Softmax regression: the functions of one vector, those of a matrix, and the solvers."""

import functools

import jax
import numpy as np

from elsa import softmax_regression as sr
from tests.precision.data import normal
from tests.precision.products import Case, Run, traced, without

_KEY = jax.random.key(0)
_A, _B, _V, _OTHER = normal(4, 3), np.full(4, 0.25), normal(3), normal(3)
_A1, _A2, _B2 = normal(4, 2), normal(3, 2), np.full((4, 3), 1 / 3)
_M, _M_OTHER = normal(2, 2), normal(2, 2)
_MATRIX = _A1, _A2, _B2
_KINDS = ("normalized", "rescaled")


def _of_both(name: str, *arrays: np.ndarray, **options: float) -> Case:
    """A function that takes a kind, for both kinds."""
    functions = [functools.partial(getattr(sr, name), kind=kind, **options) for kind in _KINDS]
    return traced(lambda *given: [function(*given) for function in functions], *arrays)


def _solved() -> None:
    for kind, method in (("normalized", "newton-cg"), ("rescaled", "gd")):
        sr.solve(_A, _B, kind, method, max_iterations=1)
    sr.solve(_A, _B, method="lbfgs", max_iterations=1)


def cases() -> dict[str, Case]:
    path, matrix_path = np.stack([_V, _OTHER]), np.stack([_M, _M_OTHER])
    steps = {"step_size": 0.1, "steps": 2}
    sampled = {"radius": 1.0, "pairs": 2}
    named = {
        "probabilities": traced(sr.probabilities, _V, _A),
        "loss": _of_both("loss", _V, _A, _B),
        "log_loss": _of_both("log_loss", _V, _A, _B),
        "gradient": _of_both("gradient", _V, _A, _B),
        "hvp": _of_both("hvp", _V, _OTHER, _A, _B),
        "dense_hessian": _of_both("dense_hessian", _V, _A, _B),
        "gradient_path": _of_both("gradient_path", _V, _A, _B, **steps),
        "weight_shift": _of_both("weight_shift", _V, _OTHER, _A, _B),
        "trajectory_shift": _of_both("trajectory_shift", path, _A, _B),
        "context_shift": _of_both("context_shift", _V, _A, normal(4, 3), _B),
        "softmax_attention": traced(sr.softmax_attention, _A, normal(3, 3), normal(3, 3)),
        "step_as_attention": without(lambda x, y: sr.step_as_attention(x, y, 2.0), _V, _OTHER),
        "matrix_probabilities": traced(sr.matrix_probabilities, _M, _A1, _A2),
        "matrix_loss": _of_both("matrix_loss", _M, *_MATRIX),
        "matrix_log_loss": _of_both("matrix_log_loss", _M, *_MATRIX),
        "matrix_gradient": _of_both("matrix_gradient", _M, *_MATRIX),
        "matrix_hvp": _of_both("matrix_hvp", _M, _M_OTHER, *_MATRIX),
        "matrix_dense_hessian": _of_both("matrix_dense_hessian", _M, *_MATRIX),
        "matrix_gradient_path": _of_both("matrix_gradient_path", _M, *_MATRIX, **steps),
        "matrix_weight_shift": _of_both("matrix_weight_shift", _M, _M_OTHER, *_MATRIX),
        "matrix_trajectory_shift": _of_both("matrix_trajectory_shift", matrix_path, *_MATRIX),
        "matrix_context_shift": _of_both(
            "matrix_context_shift", _M, _A1, _A2, normal(4, 2), normal(3, 2), _B2
        ),
        "kronecker_rows": without(sr.kronecker_rows, _A1, _A2),
        "vectorised_loss": _of_both("vectorised_loss", _M.ravel(), *_MATRIX),
        "vectorised_gradient": _of_both("vectorised_gradient", _M.ravel(), *_MATRIX),
        "vectorised_hvp": _of_both("vectorised_hvp", _M.ravel(), _M_OTHER.ravel(), *_MATRIX),
        # they refuse tracers: run as they are
        "solve": Run(_solved, products=True),
        "matrix_solve": Run(lambda: sr.matrix_solve(*_MATRIX, max_iterations=1), products=True),
        "sampled_ratios": Run(lambda: sr.sampled_ratios(_KEY, _A, _B, **sampled), products=True),
        "matrix_sampled_ratios": Run(
            lambda: sr.matrix_sampled_ratios(_KEY, *_MATRIX, **sampled), products=True
        ),
        # NumPy
        "lipschitz": Run(lambda: sr.lipschitz(_A, _B, sharp=True)),
        "matrix_lipschitz": Run(lambda: sr.matrix_lipschitz(*_MATRIX, sharp=True)),
        "matrix_row_lipschitz": Run(lambda: sr.matrix_row_lipschitz(*_MATRIX, sharp=True)),
        "worst_case_lipschitz": Run(lambda: sr.worst_case_lipschitz(4, 1.0)),
        "curvature_bound": Run(lambda: sr.curvature_bound(0.5)),
        "label_operator_norm": Run(lambda: sr.label_operator_norm(_B)),
        "null_directions": Run(lambda: sr.null_directions(_A)),
        "identifiable_part": Run(lambda: sr.identifiable_part(_V, _A)),
        "matrix_identifiable_part": Run(lambda: sr.matrix_identifiable_part(_M, _A1, _A2)),
    }
    return {f"softmax_regression.{name}": case for name, case in named.items()}
