"""Products of matrices: what biases buy a stack of linear attention, at any depth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import models, theory
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Record, Summary
from experiments.trained import report
from experiments.trained.predictions import Prediction, Run
from experiments.trained.spec import TrainedSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SERIES = ("LSA", "ELSA", "LSA + row channels")
_APART = 0.1  # places of the series at one depth


def predict(task: Any, point: Mapping[str, Any], run: Run) -> Prediction:
    """The least relative risk: 0 where rows are told apart, else that of equivariant stacks.

    E|t|^2 = k is its unit. A stack that knows its rows reaches 0 from factors - 1 layers on.
    """
    told = run.kind.has_biases or task.row_channels
    floor = 0.0 if told else theory.product_floor(size=task.dim, factors=task.factors)
    return {"target": task.dim * floor, "unit": float(task.dim)}


def series(case: Case, trained: Any, records: list[Record]) -> list[Record]:
    """What a figure needs of a run: who, of how many layers and heads, on which product."""
    kind: Any = models.MODELS[case["model"]["name"]]
    biases = kind.has_biases
    told = case["task"].get("row_channels", False)
    shown = {
        "series": _SERIES[1] if biases else _SERIES[2] if told else _SERIES[0],
        "factors": case["task"].get("factors", 2),
        "depth": case["model"].get("depth", 1),
    }
    return [{**shown, "dim": case["task"]["dim"]} for _ in records]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Every seed's relative risk against depth, a panel for each product, theory dotted."""
    panels = report.values_of(records, "factors")
    figure, grid = style.figure(
        len(panels), height=0.9 + 1.6 * len(panels), sharex=True, squeeze=False
    )
    for axes, factors in zip(grid[:, 0], panels, strict=True):
        own = report.by(records, factors=factors)
        for index, name in enumerate(_SERIES):
            _draw(axes, report.by(own, series=name), index)
        _draw_theory(axes, own)
        style.finish(
            axes,
            x="depth (layers)" if axes is grid[-1, 0] else "",
            y="relative risk",
            title=f"product of {factors} matrices, {own[0]['dim']} x {own[0]['dim']}",
            legend=False,
        )
        axes.set_ylim(-0.1, 1.15)
        axes.set_xticks(report.values_of(records, "depth"))
    style.legend_outside(figure, columns=1)
    return {"risk": figure}


def _draw(axes: "Axes", records: list[Record], index: int) -> None:
    """A marker for each seed."""
    if not records:
        return
    places = [r["depth"] + _APART * (index - 1) for r in records for _ in r["risks"]]
    risks = np.array([risk for r in records for risk in r["risks"]], np.float64)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 4}
    label = f"{_SERIES[index]}, every seed"
    style.measured(axes, np.array(places), risks, name=index, label=label, **look)


def _draw_theory(axes: "Axes", records: list[Record]) -> None:
    ends = np.array([0.6, max(report.values_of(records, "depth")) + 0.4])
    for told, stroke, label in (
        (False, ":", "theory: least risk without biases"),
        (True, (0, (4, 2)), "theory: biases, or row channels"),
    ):
        targets = {r["target"] for r in records if (r["series"] != _SERIES[0]) is told}
        for target in targets:
            style.theory(axes, ends, np.full(2, target), label=label, linestyle=stroke)


SPEC = TrainedSpec(
    title="relative risk of trained stacks on products of matrices, E|out - t|^2 / E|t|^2",
    x="depth",
    x_label="depth (layers)",
    captions=(
        "theory 0: from factors - 1 layers on; the seeds that stay at the floor of LSA are in "
        "the mean",
    ),
    predict=predict,
    more=series,
    figures=figures,
)
EXPERIMENT: Experiment = SPEC.experiment()
