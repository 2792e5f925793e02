"""GPT-2 with and without its feed-forward layers, with and without a signal that tasks share."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import training
from elsa.base.counting import counted
from elsa.report import style
from experiments.harness.experiment import Case, Record, Summary
from experiments.trained import measure, predictions, prior_mean, prior_mean_report, report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from rich.table import Table

_LABELS = {True: "GPT-2 with MLP", False: "GPT-2 without MLP"}
_NAMES = {True: "linear_transformer_block", False: "linear_attention"}  # one look in all figures
_SHOWN = (prior_mean.SIGNAL, prior_mean.BLOCK, prior_mean.BAYES)


def check(config: ConfigDict) -> None:
    """Refuses runs of models other than GPT-2, and what training refuses."""
    for name, run in config.runs.items():
        if run.model.name != "gpt2":
            raise ValueError(f"runs.{name}: model must be 'gpt2', got {run.model.name!r}")
    measure.check(config)


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """Bayes, which no model beats; the best block, for comparison."""
    lines = prior_mean.lines(task, run.config)
    return {"target": lines[prior_mean.BAYES], "lines": {name: lines[name] for name in _SHOWN}}


def more(case: Case, trained: training.Trained, records: list[Record]) -> list[Record]:
    """The model's kind, and the signal."""
    norm = float(np.linalg.norm(predictions.setting_of(trained.task()).task_mean))
    return [{"mlp": case["model"]["mlp"], "mean_norm": norm}]


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The runs' risks, and what leaving the feed-forward layers out costs at each signal."""
    effects = []
    for norm in dict.fromkeys(record["mean_norm"] for record in records):
        pair = {record["mlp"]: record for record in report.by(records, mean_norm=norm)}
        if len(report.reached(list(pair.values()))) < 2:
            continue
        difference = pair[False]["risk"] - pair[True]["risk"]
        error = math.hypot(*(record["standard_error"] or 0.0 for record in pair.values()))
        effects.append(
            {
                "mean_norm": norm,
                "difference": difference,
                "standard_error": error,
                "in_standard_errors": difference / error if error else None,
            }
        )
    rows = [{k: v for k, v in r.items() if k not in ("along_training", "seconds")} for r in records]
    shared = {
        "num_seeds": config.num_seeds,
        "num_steps": config.train.num_steps,
        "eval_prompts": config.eval_prompts,
    }
    return {"rows": rows, "effects": effects, **shared}


def tables(summary: Summary) -> list["Table"]:
    """The four runs, and the two differences."""
    from rich.table import Table

    runs = Table(
        *("model", "|b*|", "risk", "± s.e.", "lowest", "highest", *_SHOWN),
        title=f"{SPEC.title}, {counted(summary['num_seeds'], 'seed')}",
        title_justify="left",
    )
    for row in summary["rows"]:
        risks = [risk for risk in row["risks"] if risk is not None]
        error = row["standard_error"]
        runs.add_row(
            _LABELS[row["mlp"]],
            f"{row['mean_norm']:.3g}",
            report.diverged_words(row) if row["risk"] is None else f"{row['risk']:.4g}",
            "-" if error is None else f"{error:.2g}",
            *(f"{end(risks):.4g}" if risks else "-" for end in (min, max)),
            *(f"{row['lines'][line]:.4g}" for line in _SHOWN),
        )
    effects = Table(
        *("|b*|", "risk without MLP minus risk with", "± s.e.", "in standard errors"),
        title=f"what the MLP buys after {summary['num_steps']:,} steps",
        title_justify="left",
    )
    for effect in summary["effects"]:
        share = effect["in_standard_errors"]
        effects.add_row(
            f"{effect['mean_norm']:.3g}",
            f"{effect['difference']:.4g}",
            f"{effect['standard_error']:.2g}",
            "-" if share is None else f"{share:.1f}",
        )
    return [runs, effects]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk along training, a panel for each shared signal."""
    figure, panels = prior_mean_report.panels_along_training(
        records,
        "mean_norm",
        look=lambda record: (_NAMES[record["mlp"]], _LABELS[record["mlp"]]),
        lines=_SHOWN,
        title=lambda norm: f"shared signal, |b*| = {norm:.3g}" if norm else "no shared signal",
        height=1.6,
    )
    for axes in panels:
        style.logarithmic(axes)
    return {"risk": figure}


SPEC = TrainedSpec(
    title="GPT-2 with and without MLP",
    x="mean_norm",
    x_label="norm of the tasks' mean |b*|",
    predict=predict,
    more=more,
    figures=figures,
)
EXPERIMENT = dataclasses.replace(SPEC.experiment(), summarise=summarise, tables=tables, check=check)
