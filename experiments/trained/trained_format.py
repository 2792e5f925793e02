"""What of a prompt's format matters to stacks trained on it, and what does not."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import theory, training
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measure, report, shuffling
from experiments.trained.predictions import Prediction, Run, setting_of
from experiments.trained.spec import TrainedSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP, PLAIN, BAYES = "best preconditioned step", "best plain step", "Bayes"
BIASED, HEADS = "one layer with biases", "LSA, many heads"
MASKED, ONE_MASKED = "LSA, many heads, query masked", "LSA, one head, query masked"
_PANELS = {
    "plain": "one layer, uneven covariates",
    "mean": "one layer, tasks with a prior mean",
    "two_layers": "two layers, uneven covariates",
}
_FORMATS = ("stacked", "shared", "natural", "transposed")
_GREY = "#888888"
_LOOKS: Mapping[str, tuple[Any, str]] = {  # stroke and colour of every line of theory
    STEP: (":", style.THEORY),
    PLAIN: ((0, (4, 2)), style.THEORY),
    BAYES: ((0, (6, 1.5, 1, 1.5)), style.THEORY),
    BIASED: (":", _GREY),
    HEADS: ((0, (4, 2)), _GREY),
    MASKED: ((0, (6, 1.5, 1, 1.5)), _GREY),
    ONE_MASKED: ("-", _GREY),
}
_APART = 0.12


def predict(task: Any, point: Mapping[str, Any], run: Run) -> Prediction:
    """The least risk of one layer on the run's prompt, of more the Bayes risk.

    Of tasks of mean 0 it is the best preconditioned step, and the best plain one where rows are
    covariates. Of others it is the best step from a start with biases; without them and with many
    heads, or with the query masked, it is known for a query in channels of its own.
    """
    setting, model = setting_of(task), run.model
    step = theory.pgd_optimum(setting).risk
    if model["depth"] > 1:
        key = jax.random.key(run.config.seed)
        bayes = theory.bayes_risk(setting, key, run.config.bayes_samples).mean
        return {"target": bayes, "lines": {STEP: step, BAYES: bayes}}
    if task.task_mean is None:
        plain = theory.transposed_optimum(setting).risk
        by_covariates = model.get("layout") == "transposed"
        return {"target": plain if by_covariates else step, "lines": {STEP: step, PLAIN: plain}}
    biased = theory.gd_beta_optimum(setting).risk
    heads = theory.multi_head_optimum(setting, masked=False).risk
    many = not run.kind.has_biases and model.get("num_heads", 1) > task.dim
    lines = {
        BIASED: biased,
        HEADS: heads,
        MASKED: theory.multi_head_optimum(setting).risk,
        ONE_MASKED: theory.linear_attention_optimum(setting).risk,
    }
    if model.get("masked", False):
        return {"target": lines[MASKED if many else ONE_MASKED], "lines": lines}
    return {"target": heads if many else biased, "lines": lines}


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record, which says the format; a shuffled model is beside the seed that it is like."""
    like, init = case.get("like", ""), None
    if like:
        other = {"run": like, **config.runs[like].to_dict()}
        init = shuffling.start(
            measure.settings_of(config, case), like=measure.settings_of(config, other)
        )
    trained, records = measure.train(config, case, place, predict, init=init)
    heads = case["model"].get("num_heads", 1)
    # heads matter to what is best with a prior mean alone
    words = f", {heads} heads" if heads > 1 and case["panel"] == "mean" else ""
    words += ", query masked" if case["model"].get("masked", False) else ""
    own = {
        "panel": case["panel"],
        "format": case["format"],
        "series": case["model"]["name"].upper() + words + (", shuffled (1 seed)" if like else ""),
    }
    if like:
        gap = shuffling.largest_gap(trained, training.all_models(place.folder, like))
        own |= {"shuffle_gap": gap} if gap is not None else {}
    return [{**record, **own} for record in records]


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The numbers of all trained experiments, and how far the shuffled model's losses are off."""
    gaps = [record["shuffle_gap"] for record in records if "shuffle_gap" in record]
    return {**report.summarise(config, records), "shuffle_gap": max(gaps, default=None)}


def tables(summary: Summary) -> list[Any]:
    """One table of all runs."""
    said = [
        f"{_PANELS['two_layers']}: theory is {BAYES}",
        f"{_PANELS['mean']}: theory is the best step with biases, or of many heads, or the\n"
        "best with the query masked",
    ]
    if summary["shuffle_gap"] is not None:
        said.append(
            f"rows and channels shuffled: one seed, beside the other run's mean; losses along\n"
            f"training against those of that run's first seed: the same within "
            f"{summary['shuffle_gap']:.1e}"
        )
    return [report.table(summary, title=SPEC.title, captions=said)]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Every seed's risk by format, theory dotted, a panel for each question."""
    panels = [panel for panel in _PANELS if report.by(records, panel=panel)]
    series = report.values_of(records, "series")
    figure, grid = style.figure(len(panels), height=1.6 + 1.7 * len(panels), squeeze=False)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        own = report.by(records, panel=panel)
        formats = [name for name in _FORMATS if report.by(own, format=name)]
        for index, name in enumerate(series):
            _draw(axes, report.by(own, series=name), formats, index)
        ends = np.array([-0.45, len(formats) - 0.55])
        for line, risk in own[0]["lines"].items():
            stroke, colour = _LOOKS[line]
            label, heights = f"theory: {line}", np.full(2, risk)
            style.theory(axes, ends, heights, label=label, linestyle=stroke, color=colour)
        style.finish(axes, x="", y="risk (squared error)", title=_PANELS[panel], legend=False)
        axes.set_xticks(range(len(formats)), formats)
    grid[-1, 0].set_xlabel("format of the prompt")
    style.legend_outside(figure, columns=1)
    return {"risk": figure}


def _draw(axes: "Axes", records: list[Record], formats: list[str], index: int) -> None:
    """A marker for each seed."""
    if not records:
        return
    places = [
        formats.index(r["format"]) + _APART * (index - 1.5) for r in records for _ in r["risks"]
    ]
    risks = np.array([risk for r in records for risk in r["risks"]], np.float64)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 3.5}
    style.measured(
        axes, np.array(places), risks, name=index, label=f"{records[0]['series']}", **look
    )


SPEC = TrainedSpec(
    title="risk of trained stacks by the format of the prompt",
    x="format",
    x_label="format of the prompt",
    predict=predict,
    figures=figures,
)
EXPERIMENT: Experiment = dataclasses.replace(
    SPEC.experiment(), measure=measured, summarise=summarise, tables=tables
)
