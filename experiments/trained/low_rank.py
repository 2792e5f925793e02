"""Weights of low rank, and low-rank corrections of frozen weights, against their optima."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import theory, training
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measuring, predictions, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

BASE = "base"  # the run whose weights the corrections start from
_IDEAL = "from the optimal base"
# the look of a line that nearly coincides with the theory's own
_BESIDE: dict[str, Any] = {"linestyle": "-", "linewidth": 0.6, "color": "#777777", "zorder": 2}


def predict(task: Any, point: Mapping[str, Any]) -> measuring.Prediction:
    """The optimum over weights of the point's rank, of any rank where it has none."""
    weight, risk = theory.pgd_optimum(predictions.setting_of(task), rank=point.get("rank"))
    return {"target": risk, "preconditioner": weight}


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a point; corrections start from the best trained model of the run `base`."""
    length = {"context_length": case["task"]["context_length"]}
    if case["model"]["name"] != "lora_attention":
        return _at(length, measuring.train(config, case, place, predict)[1])
    base = training.load(place.folder, BASE)
    frozen = np.asarray(base.model.preconditioner, np.float64)
    ideal = theory.pgd_optimum(predictions.setting_of(base.task)).weight

    def predict_correction(task: Any, point: Mapping[str, Any]) -> measuring.Prediction:
        setting, rank = predictions.setting_of(task), point["rank"]
        weight, risk = theory.lora_optimum(frozen, setting, rank=rank)
        from_ideal = theory.lora_optimum(ideal, setting, rank=rank)
        return {"target": risk, "preconditioner": weight, "lines": {_IDEAL: from_ideal.risk}}

    given = {"base_weight": frozen}
    return _at(length, measuring.train(config, case, place, predict_correction, given=given)[1])


def _at(length: Mapping[str, int], records: list[Record]) -> list[Record]:
    """The records with their run's context length as part of the point."""
    return [{**record, "point": {**length, **record["point"]}} for record in records]


def tables(summary: Summary) -> list["Table"]:
    """One table of all points."""
    title = "risk of trained models against the optimum for their rank"
    return [report.table(summary, title=title)]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk against rank, a colour for each context length."""
    figure, axes = style.figure(height=2.4)
    ranked = [record for record in records if "rank" in record["point"]]
    lengths = sorted({record["point"]["context_length"] for record in ranked})
    for index, length in enumerate(lengths):
        own = report.by(ranked, context_length=length)
        report.draw(
            axes,
            own,
            "rank",
            name=index,
            label=f"trained, n = {length}",
            target_label="theory: optimum of that rank" if index == 0 else None,
        )
        if _IDEAL in own[0]["lines"]:
            ideal = report.at_points(own, "rank")
            report.draw_line(axes, ideal, _IDEAL, label=f"theory, {_IDEAL}", **_BESIDE)
    axes.set_ylim(bottom=0.0)
    most = max(record["point"]["rank"] for record in ranked)
    axes.set_xticks(range(0, most + 1, max(1, most // 5)))
    title = "correction of frozen weights" if "lora" in summary["rows"][-1]["model"] else None
    style.finish(axes, x="rank r", y="risk (squared error)", title=title)
    return {"risk": figure}


EXPERIMENT = Experiment(
    cases=measuring.cases,
    measure=measure,
    summarise=report.summarise,
    tables=tables,
    figures=figures,
    check=measuring.check,
)
