"""The risk that attention alone cannot avoid, against the tasks' mean and the context length."""

from typing import TYPE_CHECKING

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary
from experiments.trained import prior_mean, prior_mean_report, report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table


def check(config: ConfigDict) -> None:
    """Refuses runs that do not meet at all points, besides what training refuses."""
    sweeps = {name: run.sweep.to_dict() for name, run in config.runs.items()}
    first, *others = sweeps.values()
    if set(first) != {"task_mean", "context_length"} or any(other != first for other in others):
        raise ValueError(
            "runs: every run must have the same sweep, over task_mean and context_length, got "
            f"{sweeps}"
        )
    prior_mean.check(config)


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The points, and at each the gap between the best seeds of both models, and theory's."""
    gaps = []
    for block in report.by(records, model="linear_transformer_block"):
        place = {key: block[key] for key in ("mean_norm", "context_length")}
        (attention,) = report.by(records, model="linear_attention", **place)
        both = attention, block
        if any(record["risk"] is None for record in both):
            continue
        risks = [report.best_risk(record) for record in both]
        lines = block["lines"]
        gaps.append(
            {
                **place,
                "gap": risks[0] - risks[1],
                "standard_error": float(np.hypot(*(r["evaluation_error"] for r in both))),
                "theory": lines[prior_mean.ATTENTION] - lines[prior_mean.BLOCK],
            }
        )
    return {**prior_mean_report.summarise(config, records), "gaps": gaps}


def tables(summary: Summary) -> list["Table"]:
    """All points, and the gaps."""
    from rich.table import Table

    gaps = Table(
        *("|b*|", "n", "gap", "± s.e.", "theory"),
        title="what attention alone cannot close: its risk minus the block's",
        title_justify="left",
    )
    for gap in summary["gaps"]:
        gaps.add_row(
            f"{gap['mean_norm']:.3g}",
            str(gap["context_length"]),
            f"{gap['gap']:.5g}",
            f"{gap['standard_error']:.2g}",
            f"{gap['theory']:.5g}",
        )
    return [*prior_mean_report.tables(summary, title=SPEC.title), gaps]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk against |b*| and against the context length, and the gap at every point."""
    norms = sorted({record["mean_norm"] for record in records})
    lengths = sorted({record["context_length"] for record in records})
    norm, length = norms[len(norms) // 2], lengths[len(lengths) // 2 - 1]
    figure, (top, middle, bottom) = style.figure(3, height=6.0)
    for axes, axis, chosen in (
        (top, "mean_norm", report.by(records, context_length=length)),
        (bottom, "context_length", report.by(records, mean_norm=norm)),
    ):
        prior_mean_report.draw_best(axes, chosen, axis, labelled=axes is top)
        one = report.by(chosen, model="linear_attention")
        prior_mean_report.draw_lines(axes, one, axis, labelled=axes is top)
        style.logarithmic(axes)
    _draw_gaps(middle, summary["gaps"], lengths)
    for axes in (top, middle):
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xticks(norms, [f"{norm:.3g}" for norm in norms])
        axes.set_xlim(-0.5, 1.4 * norms[-1])
    style.finish(top, x=SPEC.x_label, y="risk", title=f"n = {length}", legend=False)
    style.kind(middle, "theory", [style.colour(index + 2) for index in range(len(lengths))])
    style.bars(middle, "± s.e.")
    style.bars(top, "± s.e. of the prompts")
    style.finish(middle, x=SPEC.x_label, y="gap", title="attention's risk minus the block's")
    bottom.set_xscale("log")
    bottom.set_xticks(lengths, [str(length) for length in lengths])
    bottom.minorticks_off()
    title = f"|b*| = {norm:.3g}"
    style.finish(bottom, x="context length n (examples)", y="risk", title=title, legend=False)
    style.legend_outside(figure, top)
    return {"gap": figure}


def _draw_gaps(axes: "Axes", gaps: list[Record], lengths: list[int]) -> None:
    """Measured and predicted gaps against |b*|, a colour for each context length."""
    for index, length in enumerate(lengths):
        of_length = [gap for gap in gaps if gap["context_length"] == length]
        of_length.sort(key=lambda gap: gap["mean_norm"])
        norms = np.array([gap["mean_norm"] for gap in of_length])
        style.measured(
            axes,
            norms,
            np.array([gap["gap"] for gap in of_length]),
            name=index + 2,
            label=f"n = {length}",
            error=np.array([gap["standard_error"] for gap in of_length]),
            linestyle="none",
        )
        predicted = np.array([gap["theory"] for gap in of_length])
        style.theory(axes, norms, predicted, label=None, color=style.colour(index + 2))
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=-0.05)


SPEC = TrainedSpec(
    title="risk against the tasks' mean b* and the context length n",
    x="mean_norm",
    x_label="norm of the tasks' mean |b*|",
    predict=prior_mean.predict,
    more=prior_mean.more,
    figures=figures,
)
EXPERIMENT = prior_mean_report.experiment(SPEC, summarise=summarise, tables=tables, check=check)
