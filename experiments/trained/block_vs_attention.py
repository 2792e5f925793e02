"""A linear transformer block and attention alone, along training, on tasks with a prior mean."""

from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary
from experiments.trained import prior_mean, prior_mean_report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk along training, and the gradient step that is read from the blocks."""
    made = {"risk": _along_training(records)}
    if any("read_back" in record for record in records):
        made["read_back"] = _read_back(records)
    return made


def _along_training(records: list[Record]) -> "Figure":
    """A panel for each context length: the mean over the seeds, the range as a band."""
    figure, panels = prior_mean_report.panels_along_training(
        records,
        "context_length",
        look=lambda record: (record["model"], prior_mean_report.LABELS[record["model"]]),
        lines=prior_mean_report.SHARED,
        title=lambda length: f"context length n = {length}",
    )
    for axes in panels:
        style.logarithmic(axes, "x")
    return figure


def _read_back(records: list[Record]) -> "Figure":
    """Start and preconditioner of the best seed's block beside the optimum, by context length."""
    blocks = sorted(
        (record for record in records if "read_back" in record), key=lambda r: r["context_length"]
    )
    figure, (left, right) = style.figure(1, 2, height=2.4)
    coordinates = np.arange(1, len(blocks[0]["read_back"]["init"]) + 1)
    for index, record in enumerate(blocks):
        read, last = record["read_back"], record is blocks[-1]
        look: dict[str, Any] = {"name": index, "linestyle": "none", "markersize": 5.5 - index}
        label = f"block, n = {record['context_length']}"
        style.measured(left, coordinates, np.array(read["init"]), label=label, **look)
        read_back, best = (
            np.array(read[key]).ravel() for key in ("preconditioner", "best_preconditioner")
        )
        style.measured(right, best, read_back, **look)
        if last:
            best_init = np.array(read["best_init"])
            bars = {"linestyle": "none", "marker": "_", "markersize": 11}
            style.theory(left, coordinates, best_init, label="theory: b*", **bars)
    largest = max(np.max(record["read_back"]["best_preconditioner"]) for record in blocks)
    ends = np.array([-0.05, 1.1 * largest])
    style.theory(right, ends, ends, label="theory: Γ*")
    left.set_xticks(coordinates)
    style.finish(left, x="coordinate", y="start read from the block", legend=False)
    style.finish(right, x="entry of Γ*", y="entry of Γ read", legend=False)
    style.legend_outside(figure)
    return figure


SPEC = TrainedSpec(
    title="a block and attention alone, tasks of non-zero mean",
    x="context_length",
    x_label="context length n (examples)",
    predict=prior_mean.predict,
    more=prior_mean.more,
    figures=figures,
)
EXPERIMENT = prior_mean_report.experiment(SPEC)
