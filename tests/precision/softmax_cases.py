"""Softmax regression: a problem of one vector and one of a matrix, of both kinds, and functions."""

import dataclasses
from typing import Any

import jax
import numpy as np

from elsa import softmax_regression as sr
from elsa.softmax_regression import Problem
from tests.precision.data import normal
from tests.precision.products import Case, Run, traced, without

_KEY = jax.random.key(0)
_X, _V, _M, _W = normal(3), normal(3), normal(2, 2), normal(2, 2)
_PROBLEMS = [
    (make(kind), *weights)
    for kind in ("normalized", "rescaled")
    for make, weights in (
        (lambda kind: Problem.single(normal(4, 3), np.full(4, 0.25), kind), (_X, _V)),
        (lambda kind: Problem(normal(4, 2), normal(3, 2), np.full((4, 3), 1 / 3), kind), (_M, _W)),
    )
]


def _of_all(call: Any, **options: bool) -> Case:
    """What is called with every problem and two weights of its own."""
    return traced(lambda given: [call(*each) for each in given], _PROBLEMS, **options)


def _run(call: Any) -> Case:
    """The same for what refuses tracers and is NumPy."""
    return Run(lambda: [call(*each) for each in _PROBLEMS])


def _solved() -> None:
    single, matrix, rescaled, _ = (problem for problem, *_ in _PROBLEMS)
    for problem, method in (
        *((single, "newton-cg"), (single, "lbfgs")),
        *((matrix, "newton-cg"), (rescaled, "gd")),
    ):
        problem.solve(method, max_iterations=1)


def _sampled() -> None:
    for problem in (_PROBLEMS[1][0], _PROBLEMS[2][0]):  # a matrix, a single one, one of each kind
        problem.sampled_ratios(_KEY, radius=1.0, pairs=2)


def penalised() -> dict[str, Case]:
    """The methods of problems with a penalty, of every kind."""
    kinds = ("normalized", "rescaled", "cross_entropy")
    each = [
        (Problem(normal(4, 2), normal(3, 2), np.full((4, 3), 1 / 3), kind), _M, _W)
        for kind in kinds
    ]

    def of_each(call: Any) -> Case:
        return traced(
            lambda given: [call(sr.Penalised(p, l2=0.5), x, v) for p, x, v in given], each
        )

    def run(call: Any, *, products: bool = False) -> Case:
        return Run(lambda: [call(sr.Penalised(p, l2=0.5)) for p, _, _ in each], products=products)

    return {
        "Penalised.loss": of_each(lambda problem, x, v: problem.loss(x)),
        "Penalised.gradient": of_each(lambda problem, x, v: problem.gradient(x)),
        "Penalised.hvp": of_each(lambda problem, x, v: problem.hvp(x, v)),
        "Penalised.dense_hessian": of_each(lambda problem, x, v: problem.dense_hessian(x)),
        "Penalised.lipschitz": run(lambda problem: problem.lipschitz(1.0)),
        "Penalised.solve": run(lambda problem: problem.solve(max_iterations=1), products=True),
    }


def cases() -> dict[str, Case]:
    def moved(problem: Problem) -> Problem:
        return dataclasses.replace(problem, a2=problem.a2 + 1.0)

    methods = {
        "single": without(lambda a, b: Problem.single(a, b), normal(4, 3), normal(4)),
        "planted": traced(
            lambda x, a, w, q, k: (Problem.planted(x, a), Problem.planted(w, q, k)),
            *(_X, normal(4, 3), _M, normal(4, 2), normal(3, 2)),
        ),
        "probabilities": _of_all(lambda problem, x, v: problem.probabilities(x)),
        "loss": _of_all(lambda problem, x, v: problem.loss(x)),
        "log_loss": _of_all(lambda problem, x, v: problem.log_loss(x)),
        "gradient": _of_all(lambda problem, x, v: problem.gradient(x)),
        "hvp": _of_all(lambda problem, x, v: problem.hvp(x, v)),
        "dense_hessian": _of_all(lambda problem, x, v: problem.dense_hessian(x)),
        "gradient_path": _of_all(
            lambda problem, x, v: problem.gradient_path(x, step_size=0.1, steps=2)
        ),
        "rows": _of_all(lambda problem, x, v: problem.rows(), products=False),
        "weight_shift": _of_all(
            lambda problem, x, v: [
                problem.weight_shift(x, v, side=side)
                for side in (("keys",) if problem.a1 is None else ("queries", "keys"))
            ]
        ),
        "trajectory_shift": _of_all(  # weight_shift along a path: its gradient is looked at above
            lambda problem, x, v: problem.trajectory_shift(jax.numpy.stack([x, v])), gradient=False
        ),
        "context_shift": _of_all(lambda problem, x, v: problem.context_shift(x, moved(problem))),
        # they refuse tracers: run as they are
        "solve": Run(_solved, products=True),
        "sampled_ratios": Run(_sampled, products=True),
        "lipschitz": _run(lambda problem, x, v: problem.lipschitz(1.0, sharp=True)),
        "row_lipschitz": _run(lambda problem, x, v: problem.row_lipschitz(1.0, sharp=True)),
        "null_directions": _run(lambda problem, x, v: problem.null_directions()),
        "identifiable_part": _run(lambda problem, x, v: problem.identifiable_part(x)),
    }
    functions = {
        "softmax_attention": traced(sr.softmax_attention, normal(4, 3), normal(3, 3), normal(3, 3)),
        "step_as_attention": without(lambda x, y: sr.step_as_attention(x, y, 2.0), _X, _V),
        "worst_case_lipschitz": Run(lambda: sr.worst_case_lipschitz(4, 1.0)),
        "curvature_bound": Run(lambda: sr.curvature_bound(0.5)),
        "label_operator_norm": Run(lambda: sr.label_operator_norm(np.full(4, 0.25))),
    }
    named = {f"Problem.{name}": case for name, case in methods.items()} | penalised() | functions
    return {f"softmax_regression.{name}": case for name, case in named.items()}
