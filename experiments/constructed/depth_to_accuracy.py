"""Layers needed for a given distance to the ridge solution, for four compiled algorithms."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import elsa
from elsa import algorithms, metrics, theory
from elsa.compiler import CompiledStack
from experiments.constructed import checking
from experiments.constructed import convergence_problems as problems
from experiments.constructed import depth_to_accuracy_report as report
from experiments.constructed.convergence_problems import Problems
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary

WHERE = "depth_to_accuracy"


class Solver(NamedTuple):
    """An algorithm on a batch of ridge problems, with its closed forms.

    step: to compile.
    start: blocks beside X, y, lam, [tasks, ...].
    tied: False where the step depends on t.
    bound: steps -> the worst relative error over all spectra of this condition number.
    factors: last step -> p_t(a_i), [t, d] or [tasks, t, d].
    """

    step: Callable[..., Mapping[str, jax.Array]]
    start: dict[str, np.ndarray]
    tied: bool
    bound: Callable[[np.ndarray], np.ndarray]
    factors: Callable[[int], np.ndarray]


def gradient_descent(problem: Problems) -> Solver:
    rate, size = theory.contraction(problem.condition_number), problem.step_size
    return Solver(
        algorithms.gradient_descent(size),
        {"w": _zeros(problem)},
        True,
        lambda steps: rate**steps,
        lambda last: theory.gradient_descent_factors(problem.eigenvalues, size, last),
    )


def heavy_ball(problem: Problems) -> Solver:
    size, momentum = theory.best_heavy_ball(*_interval(problem))
    return Solver(
        algorithms.heavy_ball(step_size=size, momentum=momentum),
        {"w": _zeros(problem), "v": _zeros(problem)},
        True,
        lambda steps: theory.heavy_ball_bound(problem.condition_number, steps),
        lambda last: theory.heavy_ball_factors(problem.eigenvalues, size, momentum, last),
    )


def chebyshev(problem: Problems) -> Solver:
    smallest, largest = _interval(problem)
    return Solver(
        algorithms.chebyshev(smallest=smallest, largest=largest),
        {"w": _zeros(problem), "p": _zeros(problem)},
        False,
        lambda steps: theory.chebyshev_bound(problem.condition_number, steps),
        lambda last: theory.chebyshev_factors(problem.eigenvalues, smallest, largest, last),
    )


def newton_schulz(problem: Problems) -> Solver:
    """From Z_0 = I / |A|_1, which needs no eigenvalue; |.|_1 the largest column sum."""
    dim = problem.x.shape[2]
    A = np.swapaxes(problem.x, 1, 2) @ problem.x + problem.lam * np.eye(dim)
    scale = 1.0 / np.abs(A).sum(axis=1).max(axis=1)
    residual = 1.0 - scale.min() * problem.eigenvalues[0]
    return Solver(
        algorithms.newton_schulz_ridge(),
        {"w": _zeros(problem), "Z": scale[:, None, None] * np.eye(dim)},
        True,
        lambda steps: theory.newton_schulz_bound(residual, steps),
        lambda last: theory.newton_schulz_factors(problem.eigenvalues, scale, last),
    )


SOLVERS: dict[str, Callable[[Problems], Solver]] = {
    "gradient_descent": gradient_descent,
    "heavy_ball": heavy_ball,
    "chebyshev": chebyshev,
    "newton_schulz": newton_schulz,
}


def _problems(config: ConfigDict) -> Mapping[str, Mapping[str, Any]]:
    data = config.data
    design = {key: data[key] for key in ("dim", "context_length", "ridge_fraction", "noise_var")}
    drawn = {
        f"kappa {kappa:g}": {
            "task": {**design, "condition_number": kappa},
            "tasks": data.tasks,
            "seed": [config.seed, index],
        }
        for index, kappa in enumerate(data.condition_numbers)
    }
    return {**drawn, "diabetes": {"path": "", "target": "", "lam": data.diabetes_lam}}


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each problem and method."""
    return {
        f"{name}: {method}": {"problem": name, "method": method}
        for name in _problems(config)
        for method in config.methods
    }


def measure(config: ConfigDict, case: Case, place: Place) -> Record:
    """Steps and layers to the tolerance, measured for every task, exact and in the worst case."""
    problem = problems.build(_problems(config)[case["problem"]])
    solver = SOLVERS[case["method"]](problem)
    worst = theory.steps_until(solver.bound, config.tolerance)
    depth = worst + 2
    stack, errors = distances(problem, solver, depth)
    exact = theory.relative_errors(solver.factors(depth), problem.start)
    steps = theory.settled_at(errors, config.tolerance)
    predicted = theory.settled_at(exact, config.tolerance)
    overhead = stack.num_layers - depth * stack.layers_per_step
    return {
        **case,
        "condition_number": problem.condition_number,
        "tasks": len(problem.x),
        "context_length": problem.x.shape[1],
        "dim": problem.x.shape[2],
        "reached": int((steps <= depth).sum()),
        "steps": int(steps.max()),
        "steps_exact": int(predicted.max()),
        "steps_worst": worst,
        "most_off": int(np.abs(steps - predicted).max()),
        "layers": overhead + stack.layers_per_step * int(steps.max()),
        "layers_exact": overhead + stack.layers_per_step * int(predicted.max()),
        "layers_worst": overhead + stack.layers_per_step * worst,
        "final_distance": float(errors[:, -1].max()),
    }


def distances(problem: Problems, solver: Solver, depth: int) -> tuple[CompiledStack, np.ndarray]:
    """The compiled stack, and |w_t - w| / |w| of every task for t = 0 .. depth, in one jit."""
    _, n, d = problem.x.shape
    shapes = {name: block.shape[1:] for name, block in solver.start.items()}
    inputs = {"X": (n, d), "y": (n, 1), "lam": (1, 1), **shapes}
    stack = elsa.compile(solver.step, inputs, depth, tied=solver.tied)

    def of_one_task(
        x: jax.Array, y: jax.Array, solution: jax.Array, start: dict[str, jax.Array]
    ) -> jax.Array:
        path = stack.trajectory(X=x, y=y[:, None], lam=problem.lam, **start)["w"][..., 0]
        return jax.vmap(metrics.relative_distance, in_axes=(0, None))(path, solution)

    run = jax.jit(jax.vmap(of_one_task))
    blocks = {name: jnp.asarray(block) for name, block in solver.start.items()}
    return stack, np.asarray(run(problem.x, problem.y, problem.solution, blocks))


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The records by problem and method."""
    return {
        "tolerance": config.tolerance,
        "rows": records,
        "all_reached": all(record["reached"] == record["tasks"] for record in records),
        "most_steps_off": max(record["most_off"] for record in records),
    }


def _zeros(problem: Problems) -> np.ndarray:
    tasks, _, dim = problem.x.shape
    return np.zeros((tasks, dim, 1))


def _interval(problem: Problems) -> tuple[float, float]:
    return float(problem.eigenvalues[0]), float(problem.eigenvalues[-1])


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=report.tables,
    figures=report.figures,
    check=checking.depth_to_accuracy,
)
