"""Three solvers on the four losses: loss and gradient norm against iterations."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from elsa.softmax_regression import Problem, Solution
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.softmax import checking, problems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

WHERE = "softmax_regression"
KINDS, METHODS = ("normalized", "rescaled", "cross_entropy"), ("newton-cg", "lbfgs", "gd")
NAMES = {"newton-cg": "Newton-CG", "lbfgs": "L-BFGS", "gd": "gradient descent"}
POINTS = 150  # of a curve in the records


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each problem, loss and method."""
    return {
        f"{problem}, {kind}: {method}": {"problem": problem, "kind": kind, "method": method}
        for problem in config.problems
        for kind in config.kinds
        for method in config.methods
    }


def measure(config: ConfigDict, case: Case, place: Place) -> Record:
    """One run from zero: curves, where it ended, and how far from the planted weights."""
    problem, weights = problems.planted(case["problem"], [config.seed, 1], case["kind"])
    form, _, _ = checking.sizes(WHERE, case["problem"])
    solution = problem.solve(case["method"], max_iterations=config.max_iterations[form])
    # at loss 0 both losses leave the directions of the normalized one free
    normalized = dataclasses.replace(problem, kind="normalized")
    error, size = (normalized.identifiable_part(x) for x in (solution.x - weights, weights))
    kept = _kept(solution.iterations)
    return {
        **case,
        "iterations": solution.iterations,
        "stopped": solution.history.stopped,
        "loss": solution.loss,
        "gradient_norm": solution.gradient_norm,
        "normalized_loss": float(normalized.loss(solution.x)),
        "parameter_error": float(np.linalg.norm(error) / np.linalg.norm(size)),
        "steps": kept.tolist(),
        "losses": solution.history.loss[kept].tolist(),
        "norms": solution.history.gradient_norm[kept].tolist(),
        **_theory(case, problem, weights, solution),
    }


def _kept(last: int) -> np.ndarray:
    """Iterations that a record keeps: all of a short run, else evenly spaced in logarithm."""
    if last < POINTS:
        return np.arange(last + 1)
    spaced = np.geomspace(1, last, POINTS - 1).round().astype(int)
    return np.unique([0, *spaced])


def _theory(case: Case, problem: Problem, weights: np.ndarray, found: Solution) -> dict[str, Any]:
    """Bounds of gradient descent on the normalized loss, with steps of 1 / L.

    bound: sqrt(2 L loss_0 / (t + 1)), no more than which is some gradient up to step t, as every
      step takes off |gradient|^2 / (2 L) of the loss.
    rate: 1 - mu / L, the factor of the slowest direction's error at the planted weights; mu is
      the smallest eigenvalue of the Hessian there that is not 0. None in matrix form.
    """
    if case["method"] != "gd" or case["kind"] != "normalized":
        return {"bound": None, "rate": None}
    constant = problem.lipschitz(sharp=True)
    steps = _kept(found.iterations)
    bound = np.sqrt(2 * constant * found.history.loss[0] / (steps + 1)).tolist()
    if problem.a1 is not None:
        return {"bound": bound, "rate": None}
    values = np.linalg.eigvalsh(np.asarray(problem.dense_hessian(weights)))
    slowest = values[values > 1e-10 * values[-1]].min()
    return {"bound": bound, "rate": float(1 - slowest / constant)}


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Where every run ended."""
    keys = ("problem", "kind", "method", "iterations", "stopped", "loss", "gradient_norm")
    more = ("normalized_loss", "parameter_error", "case")
    recovered = [record["normalized_loss"] <= 1e-16 for record in records if _newton(record)]
    within = [
        bool((np.minimum.accumulate(record["norms"]) <= record["bound"]).all())
        for record in records
        if record["bound"] is not None
    ]
    return {
        "rows": [{key: record[key] for key in (*keys, *more)} for record in records],
        "newton_recovered_all": all(recovered),
        "gd_within_bound": all(within),
    }


def _newton(record: Record) -> bool:
    return bool(record["method"] == "newton-cg")


def tables(summary: Summary) -> list["Table"]:
    """One line a run."""
    from rich.table import Table

    table = Table(
        *("problem", "loss", "method", "iterations", "stopped by", "loss reached"),
        *("normalized loss", "error of the weights", "seconds"),
        title="planted weights, from zero",
        caption="error of the weights: relative, modulo the directions that the loss does not see",
        title_justify="left",
        caption_justify="left",
    )
    rows = summary["rows"]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            problems.shown(row["problem"]),
            row["kind"],
            NAMES[row["method"]],
            str(row["iterations"]),
            row["stopped"],
            f"{row['loss']:.1e}",
            f"{row['normalized_loss']:.1e}",
            f"{row['parameter_error']:.1e}",
            f"{summary['seconds'][row['case']]:.1f}",
            end_section=after is not None and after["problem"] != row["problem"],
        )
    return [table]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Losses and gradient norms; of gradient descent, its last rate and its bound dotted."""
    return {
        "loss": _grid(config, records, "losses", "loss"),
        "gradient_norm": _grid(config, records, "norms", "gradient norm"),
    }


def _grid(config: ConfigDict, records: list[Record], key: str, label: str) -> "Figure":
    """A row of panels for each problem, a column for each loss."""
    rows, columns = len(config.problems), len(config.kinds)
    figure, panels = style.figure(rows, columns, height=0.7 + 1.45 * rows, squeeze=False)
    for place, problem in enumerate(config.problems):
        for column, kind in enumerate(config.kinds):
            axes = panels[place, column]
            for method in config.methods:
                name = list(METHODS).index(method)
                for record in records:
                    if (record["problem"], record["kind"], record["method"]) == (
                        problem,
                        kind,
                        method,
                    ):
                        _curve(axes, record, key, name)
            with style.applied():
                axes.set_xscale("symlog", linthresh=1)
                axes.set_xlim(left=0)
                axes.set_yscale("log")
            style.finish(
                axes,
                x="iteration" if place == rows - 1 else "",
                y=label if column == 0 else "",
                title=f"{problems.shown(problem)}\n{kind}",
                legend=False,
            )
    style.legend_outside(figure, place="upper")
    return figure


def _curve(axes: "Axes", record: Record, key: str, name: int) -> None:
    steps, values = np.array(record["steps"]), np.array(record[key])
    shown = values > 0  # a loss of 0 has no logarithm
    style.measured(
        axes,
        steps[shown],
        values[shown],
        name=name,
        label=NAMES[record["method"]],
        markevery=max(1, len(steps) // 8),
    )
    if key == "norms" and record["bound"] is not None:
        style.theory(axes, steps, np.array(record["bound"]), label="bound on the smallest so far")
    if key == "losses" and record["rate"] is not None:
        late = steps >= steps[-1] / 30
        line = values[-1] * record["rate"] ** (2.0 * (steps[late] - steps[-1]))
        style.theory(axes, steps[late], line, label="slope by theory at the end")


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=checking.softmax_regression,
)
