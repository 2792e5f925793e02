"""The ridge problems of the convergence experiment: one real table, or batches of random tasks."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from elsa import metrics, predictors, tasks, theory
from elsa.base.counting import counted
from elsa.base.tables.names import column_names
from elsa.tasks.table import split

WHERE = "convergence"
_OF_A_FILE = ("drop", "separator", "decimal")
_EXTREME = 60  # power of two beyond which labels, or their squares, would leave float32's range


@dataclasses.dataclass(frozen=True, eq=False)
class Problems:
    """Ridge problems with the same eigenvalues, in float64, with the quantities that theory needs.

    x: [tasks, n, d].  y: [tasks, n].  lam: their regulariser.
    solution: the reference, [tasks, d].
    eigenvalues: of X^T X + lam I, [d], smallest first.
    start: w_0 - w* = -w* in the eigenvectors, [tasks, d].
    table: of one that is a table, in standard form; its labels are 2^exponent y.
    exponent: 0 but for labels near the ends of float32's range.
    """

    x: Float[np.ndarray, "tasks n d"]
    y: Float[np.ndarray, "tasks n"]
    lam: float
    solution: Float[np.ndarray, "tasks d"]
    eigenvalues: Float[np.ndarray, " d"]
    start: Float[np.ndarray, "tasks d"]
    table: tasks.Table | None = None
    exponent: int = 0

    @property
    def condition_number(self) -> float:
        return max(1.0, float(self.eigenvalues[-1] / self.eigenvalues[0]))

    @property
    def step_size(self) -> float:
        return theory.best_step_size(float(self.eigenvalues[0]), float(self.eigenvalues[-1]))

    def depth(self, config: ConfigDict) -> tuple[int, int]:
        """Steps that are run, and steps that theory asks for."""
        needed = theory.steps_to_reach(config.tolerance, self.condition_number)
        return min(needed, config.max_depth), needed


def names(config: ConfigDict) -> Mapping[str, Mapping[str, Any]]:
    """Every problem's name and the plain values that `build` makes it from."""
    data = config.data
    if "path" in data:
        name = data.path or "diabetes"
        written = {key: data[key] for key in _OF_A_FILE if data[key]}
        return {name: {"path": data.path, "target": data.target, "lam": config.lam, **written}}
    short = data.short_context_length
    designs = [(data.context_length, data.ridge_fraction, k) for k in data.condition_numbers]
    designs += [(short, 1.0, k) for k in data.short_condition_numbers]
    return {
        f"kappa {kappa:g}, {rows} rows": {
            "task": {
                "dim": data.dim,
                "context_length": rows,
                "condition_number": kappa,
                "ridge_fraction": fraction,
                "noise_var": data.noise_var,
            },
            "tasks": data.tasks,
            "seed": [config.seed, index],
        }
        for index, (rows, fraction, kappa) in enumerate(designs)
    }


def build(settings: Mapping[str, Any]) -> Problems:
    """The problems that `names` describes.

    Raises:
      OSError, KeyError, ValueError, TypeError: for bad data or sizes.
    """
    if "task" in settings:
        first, second = settings["seed"]
        return _drawn(tuple(settings["task"].items()), settings["tasks"], first, second)
    return _table(**settings)


def check(config: ConfigDict) -> None:
    """Refuses data that make no problem, before anything is run."""
    for settings in names(config).values():
        if "task" in settings:
            _check_design(tasks.PrescribedSpectrum(**settings["task"]))
        else:
            build(settings)
            kept(settings, config.data.held_out)


def _check_design(task: tasks.PrescribedSpectrum) -> None:
    if task.condition_number == 1.0 and task.ridge_fraction == 1.0:
        raise ValueError(
            f"{WHERE}: at condition number 1 with ridge_fraction 1, or with fewer rows than "
            "covariates, X is zero and so is the solution; leave condition number 1 out there"
        )


def kept(settings: Mapping[str, Any], share: float) -> tuple[Problems, tasks.Table]:
    """The problem of the rows that are not held out, and those that are, in the file's units.

    Raises:
      ValueError: for a share that is none, and where the rows left are no problem by themselves.
    """
    others = {name: value for name, value in settings.items() if name != "lam"}
    own, held_out = split(f"{WHERE}: data", _read(**others), share)
    try:
        return _of_table(own, settings["lam"]), held_out
    except ValueError as error:
        raise ValueError(
            f"{error}. data.held_out={share:g} leaves {counted(len(own.y), 'row')} of "
            f"{len(own.y) + len(held_out.y)}; data.held_out=0 takes all"
        ) from error


@functools.lru_cache(maxsize=1)
def _read(
    path: str, target: str, drop: str = "", separator: str = "", decimal: str = ""
) -> tasks.Table:
    if not path:
        return tasks.diabetes()
    names = column_names(drop)
    return tasks.read_csv(path, target, drop=names, separator=separator, decimal=decimal)


@functools.lru_cache(maxsize=1)
def _table(lam: float, **where: str) -> Problems:
    return _of_table(_read(**where), lam)


def _of_table(raw: tasks.Table, lam: float) -> Problems:
    from sklearn.linear_model import Ridge

    table = tasks.standardised(raw)
    if np.abs(table.x.T @ table.y).max() <= 1e-12 * len(table.y) * np.abs(raw.y).max():
        raise ValueError(
            f"{WHERE}: the labels {table.target!r} of {table.name} are constant, or unrelated to "
            "every covariate: the ridge solution is zero, and no distance relative to it exists"
        )
    exponent = int(np.frexp(np.abs(table.y).max())[1])
    if abs(exponent) <= _EXTREME:  # distances are relative: the labels' unit is not in them
        exponent = 0
    y = np.ldexp(table.y, -exponent)
    eigenvalues, start = theory.ridge_modes(table.x, y, lam)
    ridge = Ridge(alpha=lam, fit_intercept=False, solver="cholesky").fit(table.x, y)
    return Problems(
        *(table.x[None], y[None], lam, ridge.coef_[None], eigenvalues, start[None]),
        table=table,
        exponent=exponent,
    )


@functools.lru_cache(maxsize=1)
def _drawn(design: tuple[tuple[str, Any], ...], batch: int, seed: int, index: int) -> Problems:
    task = tasks.PrescribedSpectrum(**dict(design))
    drawn = task.sample(jax.random.fold_in(jax.random.key(seed), index), batch)

    def solve(x: jax.Array, y: jax.Array) -> jax.Array:
        return predictors.ridge_weights(x, y[:, None], task.lam)[:, 0]

    solution = np.asarray(jax.jit(jax.vmap(solve))(drawn.x, drawn.y))
    x, y = np.asarray(drawn.x), np.asarray(drawn.y)
    _, start = theory.ridge_modes(x, y, task.lam)
    return Problems(x, y, task.lam, solution, task.eigenvalues[::-1], start)


def window(
    errors: np.ndarray, exact: np.ndarray, problems: Problems, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """The steps between the transient and the rounding floor of every task."""
    floor = metrics.rounding_floor(dtype, problems.condition_number)
    decay = theory.decay_rate(problems.condition_number)
    return metrics.fit_window(errors, exact, decay=decay, floor=floor)
