"""Contexts retrieved around the query, and features aligned with the task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, theory
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measuring, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

# task -> optimum over multiples of the identity, and the paper's approximation of its risk
_THEORY = {
    tasks.Retrieval: (theory.retrieval_optimum, theory.retrieval_approximation),
    tasks.Alignment: (theory.alignment_optimum, theory.alignment_approximation),
}
_LABELS = {"linear_attention": "linear attention", "merged_h3": "merged H3"}
_APPROXIMATION = "approximation for large d"


def predict(task: Any, point: Mapping[str, Any]) -> measuring.Prediction:
    """The exact optimum, and the approximation for many dimensions."""
    optimum, approximation = _THEORY[type(task)]
    setting = {
        "dim": task.dim,
        "context_length": task.context_length,
        "alignment": float(task.alignment),
        "noise_var": float(task.noise_var),
    }
    scale, risk = optimum(**setting)
    return {
        "target": risk,
        "preconditioner": scale * np.eye(task.dim),
        "lines": {_APPROXIMATION: approximation(**setting)},
    }


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each alignment and context length."""
    return measuring.train(config, case, place, predict)[1]


def tables(summary: Summary) -> list["Table"]:
    """One table of all points."""
    title = "risk of trained models against the exact optimum of one gradient step"
    return [report.table(summary, title=title)]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk against context length, a colour for each alignment, a marker for each model."""
    figure, axes = style.figure(height=3.1)
    alignments = sorted({record["point"]["alignment"] for record in records})
    models = list(dict.fromkeys(record["model"] for record in records))
    for index, alignment in enumerate(alignments):
        own = report.by(records, alignment=alignment)
        predicted = measuring.predictions_along(
            config, own[0]["run"], predict, "context_length", alignment=alignment
        )
        for model in models:
            chosen = report.by(own, model=model)
            last = model == models[-1]
            report.draw(
                axes,
                chosen,
                "context_length",
                name=index,
                label=f"α = {alignment:g}" if last else None,
                predicted=predicted,
                target_label="theory, exact" if last and index == 0 else None,
                marker=style.marker(model),
                markersize=3.5 if last else 5.5,
            )
        report.draw_line(
            axes,
            predicted,
            _APPROXIMATION,
            label=f"theory, {_APPROXIMATION}" if index == 0 else None,
            color=style.colour(index),
            linestyle=(0, (4, 3)),
            linewidth=0.8,
            zorder=2,
        )
    style.few_decades(axes)
    markers = {"o": "circles", "s": "squares", "^": "triangles"}
    shown = ", ".join(f"{markers[style.marker(m)]}: {_LABELS.get(m, m)}" for m in models)
    style.finish(
        axes,
        x="context length n (examples)",
        y="risk (squared error)",
        title=shown,
        legend=False,
    )
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
