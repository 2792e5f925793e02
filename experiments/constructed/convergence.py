"""Distance to the ridge solution against depth, for the constructions and for gradient descent."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from elsa import algorithms, constructions, metrics, theory
from experiments.constructed import checking
from experiments.constructed import convergence_answer as answers
from experiments.constructed import convergence_problems as problems
from experiments.constructed import convergence_report as report
from experiments.constructed.convergence_problems import Problems
from experiments.harness.experiment import Case, Experiment, Place, Record, Shown, Summary

CONSTRUCTIONS: dict[str, Callable[..., constructions.RidgeStack]] = {
    name: getattr(constructions, name) for name in checking.CONSTRUCTIONS
}


def check(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured; reads a table of the user's to do so."""
    checking.convergence(config)
    problems.check(config)


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each problem, method and dtype."""
    return {
        f"{name}: {method} in {dtype}": {"problem": name, "method": method, "dtype": dtype}
        for name in problems.names(config)
        for dtype in config.dtypes
        for method in config.methods
    }


def measure(config: ConfigDict, case: Case, place: Place) -> Record:
    """The distances at every depth, thinned, and the decay fitted to all of them."""
    problem = problems.build(problems.names(config)[case["problem"]])
    depth, needed = problem.depth(config)
    layers, errors = distances(problem, case["method"], case["dtype"], depth)
    exact = theory.error_curve(
        problem.eigenvalues, problem.start, problem.step_size, np.arange(depth + 1)
    )
    kept = metrics.log_spaced(depth, config.curve_points, tuple(config.shown_depths))
    tasks, context_length, dim = problem.x.shape
    return {
        **case,
        "tasks": tasks,
        "context_length": context_length,
        "dim": dim,
        "lam": problem.lam,
        "condition_number": problem.condition_number,
        "step_size": problem.step_size,
        "depth": depth,
        "depth_needed": needed,
        "layers": layers,
        "depths": kept.tolist(),
        "measured": _spread(errors[:, kept]),
        "exact": _spread(exact[:, kept]),
        "bound": (theory.contraction(problem.condition_number) ** kept).tolist(),
        **_decay(problem, errors, exact, case["dtype"]),
        **_answer(config, case, problem),
    }


def _answer(config: ConfigDict, case: Case, problem: Problems) -> Record:
    """Of a table, and the last of the methods, in float64: what the table's user asks for."""
    if problem.table is None or (case["method"], case["dtype"]) != (config.methods[-1], "float64"):
        return {}
    settings = problems.names(config)[case["problem"]]

    def solve(of: Problems, queries: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return solved(of, case["method"], of.depth(config)[0], queries)

    return {"answer": answers.answer(settings, config.data.held_out, solve)}


def solved(
    problem: Problems, method: str, depth: int, queries: Float[np.ndarray, "k d"] | None
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " k"] | None]:
    """w after the last step, and the stack's predictions for these rows, in float64."""
    _, n, d = problem.x.shape
    if method not in CONSTRUCTIONS:
        w = np.asarray(_path(problem, method, "float64", depth)[1](problem.x[0], problem.y[0])[-1])
        return w, None if queries is None else queries @ w
    more = {} if queries is None else {"num_queries": len(queries)}
    stack = CONSTRUCTIONS[method](n, d, depth, problem.step_size, dtype="float64", **more)
    asked = {} if queries is None else {"query_x": queries}
    out = stack(X=problem.x[0], y=problem.y[0], lam=problem.lam, **asked)
    predicted = None if queries is None else np.asarray(out["prediction"])
    return np.asarray(out["w"]), predicted


def distances(
    problem: Problems, method: str, dtype: str, depth: int
) -> tuple[int | None, Float[np.ndarray, "tasks depths"]]:
    """Layers of the stack, and |w_t - w| / |w| of every task for t = 0 .. depth, in one jit."""
    layers, path = _path(problem, method, dtype, depth)

    def of_one_task(x: jax.Array, y: jax.Array, solution: jax.Array) -> jax.Array:
        distance = jax.vmap(metrics.relative_distance, in_axes=(0, None))
        return distance(path(x.astype(dtype), y.astype(dtype)), solution)

    return layers, np.asarray(
        jax.jit(jax.vmap(of_one_task))(problem.x, problem.y, problem.solution)
    )


def _path(
    problem: Problems, method: str, dtype: str, depth: int
) -> tuple[int | None, Callable[[jax.Array, jax.Array], jax.Array]]:
    """w after every step, [depth + 1, d], as a function of one task; layers None for no stack."""
    _, n, d = problem.x.shape
    if method in CONSTRUCTIONS:
        stack = CONSTRUCTIONS[method](n, d, depth, problem.step_size, dtype=dtype)
        return stack.num_layers, lambda x, y: stack.trajectory(X=x, y=y, lam=problem.lam)["w"]
    step, lam = algorithms.gradient_descent(problem.step_size), jnp.full((1, 1), problem.lam, dtype)

    def descend(x: jax.Array, y: jax.Array) -> jax.Array:
        def body(w: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            w = step(x, y[:, None], w, lam)["w"]
            return w, w

        start = jnp.zeros((d, 1), dtype)
        _, steps = jax.lax.scan(body, start, length=depth)
        return jnp.concatenate([start[None], steps])[..., 0]

    return None, descend


def _spread(curves: Float[np.ndarray, "tasks depths"]) -> dict[str, list[float]]:
    return {
        "median": np.median(curves, axis=0).tolist(),
        "smallest": curves.min(axis=0).tolist(),
        "largest": curves.max(axis=0).tolist(),
    }


def _decay(problem: Problems, errors: np.ndarray, exact: np.ndarray, dtype: str) -> dict[str, Any]:
    """The fitted decay of every task beside theory's; None where there is nothing to fit."""
    decay = theory.decay_rate(problem.condition_number)
    nothing = {"decay_mean": None, "decay_deviation": None, "fit_first": None, "fit_stop": None}
    if not np.isfinite(decay):  # condition number 1: one step is exact
        return {"decay_theory": None, **nothing, "tasks_fitted": 0}
    first, stop = problems.window(errors, exact, problem, dtype)
    fitted = metrics.fitted_decay(errors, first, stop)
    fitted_tasks = np.isfinite(fitted)
    if not fitted_tasks.any():
        return {"decay_theory": decay, **nothing, "tasks_fitted": 0}
    return {
        "decay_theory": decay,
        "decay_mean": float(fitted[fitted_tasks].mean()),
        "decay_deviation": float(np.abs(fitted[fitted_tasks] / decay - 1.0).max()),
        "fit_first": float(np.median(first[fitted_tasks])),
        "fit_stop": float(np.median(stop[fitted_tasks])),
        "tasks_fitted": int(fitted_tasks.sum()),
    }


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """For each problem the distances at the depths shown, theory's at the same, and the decays."""
    by_problem = {
        name: _problem_summary(config, [r for r in records if r["problem"] == name])
        for name in dict.fromkeys(record["problem"] for record in records)
    }
    return {
        "problems": by_problem,
        "largest_final_distance": _largest(config, records, lambda r: r["measured"]["largest"][-1]),
        "largest_decay_deviation": _largest(config, records, lambda r: r["decay_deviation"]),
        "fit": "least squares of log error, from the step where the closed form decays within 0.1% "
        "of its limit to the step where the error is below 10 eps kappa; 10 steps at least",
        "tolerance": config.tolerance,
        "max_depth": config.max_depth,
        **answers.summary(records),
    }


def _problem_summary(config: ConfigDict, records: list[Record]) -> dict[str, Any]:
    first = records[0]
    places = [first["depths"].index(t) for t in config.shown_depths if t < first["depth"]] + [-1]
    same = (
        *("tasks", "context_length", "dim", "lam", "condition_number", "step_size"),
        *("depth", "depth_needed", "decay_theory"),
    )
    fields = ("method", "dtype", "layers", "decay_mean", "decay_deviation", "tasks_fitted")
    return {
        **{key: first[key] for key in same},
        "shown_depths": [first["depths"][place] for place in places],
        "exact": [first["exact"]["largest"][place] for place in places],
        "bound": [first["bound"][place] for place in places],
        "rows": [
            {
                **{key: record[key] for key in fields},
                "distances": [record["measured"]["largest"][place] for place in places],
            }
            for record in records
        ],
    }


def _largest(
    config: ConfigDict, records: list[Record], value: Callable[[Record], float | None]
) -> dict[str, float | None]:
    """By dtype; None where no record has a value."""
    by_dtype = {
        dtype: [value(record) for record in records if record["dtype"] == dtype]
        for dtype in config.dtypes
    }
    return {
        dtype: max((number for number in numbers if number is not None), default=None)
        for dtype, numbers in by_dtype.items()
    }


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=report.tables,
    figures=report.figures,
    files=answers.files,
    check=check,
    shown=Shown(main="decay_mean", target="decay_theory"),
)
