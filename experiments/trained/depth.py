"""Linear transformers of several layers against descent of several steps and the Bayes risk."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import theory
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measuring, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

_DESCENT, _POLYNOMIAL, _BAYES = "one step a layer", "best polynomial", "Bayes"
_LARGEST_POLYNOMIAL = 13  # coefficients; with 40 the risk is Bayes' to four digits


def predict(config: ConfigDict, depth: int, task: Any) -> measuring.Prediction:
    """Bounds on the risk of `depth` layers, isotropic covariates and tasks.

    `depth` steps of gradient descent with the best step sizes are one stack of that depth, so that
    training must get below. A stack's prediction is <x, p(X^T X) X^T y> for rotation-invariant
    weights, and each layer at most triples the degree of the label's polynomial: p has at most
    (3^depth - 1)/2 coefficients, and the best such p is the target.
    """
    sizes: dict[str, Any] = {
        "dim": task.dim,
        "context_length": task.context_length,
        "noise_var": float(task.noise_var),
    }
    coefficients = min((3**depth - 1) // 2, _LARGEST_POLYNOMIAL)
    bayes = theory.bayes_risk(
        theory.Setting(**sizes), jax.random.key(config.seed), config.bayes_samples
    )
    polynomial = theory.multi_step_optimum(**sizes, steps=coefficients).risk
    return {
        "target": polynomial,
        "lines": {
            _DESCENT: theory.multi_step_optimum(**sizes, steps=depth).risk,
            _POLYNOMIAL: polynomial,
            _BAYES: bayes.mean,
        },
    }


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for the run's depth."""
    depth = case["model"]["depth"]
    _, records = measuring.train(config, case, place, lambda task, _: predict(config, depth, task))
    return [{**record, "point": {**record["point"], "depth": depth}} for record in records]


def tables(summary: Summary) -> list["Table"]:
    """One table of all depths."""
    title = "risk of trained linear transformers against the best polynomial of their depth"
    return [report.table(summary, title=title)]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk against the number of layers, between descent and Bayes."""
    figure, axes = style.figure(height=2.9)
    ordered = sorted(records, key=lambda record: record["point"]["depth"])
    depths = np.array([record["point"]["depth"] for record in ordered])
    best = [min(risk for risk in record["risks"] if risk is not None) for record in ordered]
    seeds = [
        (r["point"]["depth"], risk) for r in ordered for risk in r["risks"] if risk is not None
    ]
    look: dict[str, Any] = {"linestyle": "none", "name": "linear_transformer"}
    every = np.array(seeds).T
    style.measured(axes, *every, label="every seed", markersize=2, alpha=0.5, **look)
    style.measured(axes, depths, np.array(best), label="trained, best of its seeds", **look)
    lines: dict[str, dict[str, Any]] = {
        _POLYNOMIAL: {},
        _DESCENT: {"linestyle": (0, (4, 2))},
        _BAYES: {"linestyle": "-", "linewidth": 0.8},
    }
    alone = len(depths) == 1  # a line through one point does not show
    places = depths + np.array([-0.3, 0.3]) if alone else depths
    for line, stroke in lines.items():
        values = np.array([record["lines"][line] for record in ordered])
        values = np.repeat(values, 2) if alone else values
        label = "Bayes risk" if line == _BAYES else line
        style.theory(axes, places, values, label=f"theory: {label}", **stroke)
    style.few_decades(axes)
    axes.set_xticks(sorted(record["point"]["depth"] for record in records))
    style.finish(axes, x="layers", y="risk (squared error)", legend=False)
    style.legend_outside(figure, axes)
    return {"risk": figure}


EXPERIMENT = Experiment(
    cases=measuring.cases,
    measure=measure,
    summarise=report.summarise,
    tables=tables,
    figures=figures,
    check=measuring.check,
)
