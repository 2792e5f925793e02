"""What the experiments about a prior mean print and draw alike."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.base.counting import counted
from elsa.report import style
from experiments.harness.experiment import Experiment, Record, Summary
from experiments.trained import prior_mean, report
from experiments.trained.spec import TrainedSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

LABELS = {
    "linear_transformer_block": "block (attention + MLP), trained",
    "linear_attention": "attention alone, trained",
}
LINES: dict[str, dict[str, Any]] = {  # line of theory -> how it is drawn
    prior_mean.ATTENTION: {"linestyle": (0, (4, 2))},
    prior_mean.BLOCK: {"linestyle": ":"},
    prior_mean.BAYES: {"linestyle": "-", "linewidth": 0.8},
    prior_mean.SIGNAL: {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9},
}
SHARED = (prior_mean.ATTENTION, prior_mean.BLOCK, prior_mean.BAYES)  # of blocks and attention


def experiment(spec: TrainedSpec, **own: Any) -> Experiment:
    """Of a spec, with what these experiments print and refuse alike where it is not its own."""
    return dataclasses.replace(
        spec.experiment(),
        **{
            "summarise": summarise,
            "tables": functools.partial(tables, title=spec.title),
            "check": prior_mean.check,
            **own,
        },
    )


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Every point's numbers but the curves; the worst of each claim."""
    summary = report.summarise(config, records)
    summary["rows"] = [{k: v for k, v in row.items() if k != "along_training"} for row in records]
    blocks = [record for record in records if "read_back" in record]
    found = [record for record in records if record["risk"] is not None]
    attention = report.by(found, model="linear_attention")
    return {
        **summary,
        "best_excess": {
            model: max(r["best_excess"] for r in report.by(found, model=model))
            for model in dict.fromkeys(record["model"] for record in found)
        },
        "least_share_reached": min((r["shares"]["reached"] for r in records), default=None),
        "share_stalled": float(np.mean([r["shares"]["stalled"] for r in blocks] or [0.0])),
        "largest_init_distance": max(
            (r["read_back"]["init_distance"] for r in blocks), default=None
        ),
        "lowest_of_attention": min((_deviation(r) for r in attention), default=None),
    }


def _deviation(record: Mapping[str, Any]) -> float:
    """How far the lowest seed is above its prediction, in standard errors of its evaluation."""
    lowest, error = report.best_measured(record)
    return float((lowest - record["target"]) / error)


def tables(summary: Summary, *, title: str) -> list["Table"]:
    """A row a point: risk of the best seed and of all, theory, shares, what was read back."""
    from rich.table import Table

    made = Table(
        *("model", "|b*|", "n", "best seed", "mean", "± s.e.", "theory", "excess", "Bayes"),
        *("there", "stalled", "start", "Γ", "residual"),
        title=(
            f"{title}\n{counted(summary['num_seeds'], 'seed')}, "
            f"{summary['eval_prompts']:,} fresh prompts"
        ),
        caption=(
            "± s.e.: of seeds and prompts, which all seeds share; excess: of the best seed over "
            "theory;\nthere: seeds within 2 % of theory; stalled: seeds within 5 % of the best "
            "step of rank one;\nstart, Γ: how far the best seed's block is from b* and Γ*, in "
            "units of these (of 1 where b* is 0);\nresidual: what they leave of it, in units of "
            "its Γ"
        ),
        title_justify="left",
        caption_justify="left",
    )
    for row in summary["rows"]:
        read = row.get("read_back")
        lost = row["risk"] is None
        made.add_row(
            "block" if row["model"] == "linear_transformer_block" else "attention",
            f"{row['mean_norm']:.3g}",
            str(row["context_length"]),
            "-" if lost else f"{report.best_risk(row):.4g}",
            report.diverged_words(row) if lost else f"{row['risk']:.4g}",
            "-" if lost else f"{report.total_error(row):.1g}",
            f"{row['target']:.4g}",
            "-" if lost else f"{100 * row['best_excess']:+.1f} %",
            f"{row['lines'][prior_mean.BAYES]:.4g}",
            f"{100 * row['shares']['reached']:.0f} %",
            "-" if read is None else f"{100 * row['shares']['stalled']:.0f} %",
            *(
                "-" if read is None else f"{100 * read[key]:.2g} %"
                for key in ("init_distance", "preconditioner_distance", "residual")
            ),
        )
    return [made]


def draw_lines(axes: "Axes", records: Sequence[Record], axis: str, *, labelled: bool) -> None:
    """The lines of theory that all models share, along one field of the records."""
    ordered = sorted(records, key=lambda record: record[axis])
    for line in SHARED:
        places = np.array([record[axis] for record in ordered])
        values = np.array([record["lines"][line] for record in ordered])
        style.theory(
            axes, places, values, label=f"theory: {line}" if labelled else None, **LINES[line]
        )


def draw_best(axes: "Axes", records: Sequence[Record], axis: str, *, labelled: bool) -> None:
    """The best seed's risk of each model along one field of the records."""
    for model, label in LABELS.items():
        of_model = report.reached(report.by(records, model=model))
        of_model.sort(key=lambda record: record[axis])
        style.measured(
            axes,
            np.array([record[axis] for record in of_model]),
            np.array([report.best_risk(record) for record in of_model]),
            name=model,
            label=label if labelled else "",
            error=np.array([report.best_measured(record)[1] for record in of_model]),
            linestyle="none",
        )


def panels_along_training(
    records: Sequence[Record],
    axis: str,
    *,
    look: Callable[[Record], tuple[str, str]],
    lines: Sequence[str],
    title: Callable[[Any], str],
    height: float = 1.4,
) -> tuple["Figure", list["Axes"]]:
    """Risk along training, a panel for each value of one field of the records.

    Args:
      records: with the fields of `prior_mean.more`.
      axis: the field.
      look: record -> name of its colour and marker, and its label.
      lines: of theory, drawn across all panels.
      title: value -> title of its panel.
      height: of a panel, in inches.
    """
    values = sorted({record[axis] for record in records})
    figure, grid = style.figure(
        len(values), height=0.9 + height * len(values), sharex=True, squeeze=False
    )
    panels = list(grid[:, 0])
    for axes, value in zip(panels, values, strict=True):
        first = axes is panels[0]
        of_value = [record for record in records if record[axis] == value]
        for record in of_value:
            name, label = look(record)
            draw_along(axes, record, name=name, label=label if first else None)
        draw_levels(axes, of_value[0], lines, labelled=first)
        style.logarithmic(axes)
        style.finish(
            axes,
            x="step of training" if axes is panels[-1] else "",
            y="risk (squared error)",
            title=title(value),
            legend=False,
        )
    style.legend_outside(figure)
    return figure, panels


def draw_along(axes: "Axes", record: Record, *, name: str, label: str | None) -> None:
    """Risk along training: the mean over the seeds, their range as a band."""
    steps = np.array(record["along_training"]["steps"])
    risks = np.array(record["along_training"]["losses"], np.float64)  # [times, seeds]
    some = np.isfinite(risks).any(axis=1)  # from where all seeds diverged there is nothing
    steps, risks = steps[some], risks[some]
    every = max(len(steps) // 8, 1)
    mean = np.nanmean(risks, axis=1)
    style.measured(axes, steps, mean, name=name, label=label or "", markevery=every)
    low, high = np.nanmin(risks, axis=1), np.nanmax(risks, axis=1)
    axes.fill_between(steps, low, high, color=style.colour(name), alpha=0.2, linewidth=0)


def draw_levels(axes: "Axes", record: Record, lines: Sequence[str], *, labelled: bool) -> None:
    """Lines of theory across all steps of training."""
    steps = record["along_training"]["steps"]
    ends = np.array([steps[0], steps[-1]])
    for line in lines:
        label = f"theory: {line}" if labelled else None
        style.theory(axes, ends, np.full(2, record["lines"][line]), label=label, **LINES[line])
