"""Tasks that drift along the context: H3 weighs its examples, attention cannot."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import theory, training
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measuring, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

_WEIGHS = {"h3", "merged_h3"}  # models that weigh examples by their place
_LABELS = {
    "linear_attention": "linear attention, trained",
    "h3": "H3, trained",
    "merged_h3": "merged H3, trained",
}
_TARGETS = {True: "theory: weighted step", False: "theory: unweighted step"}
_SHOWN_FILTERS = 3


def predict(model: str) -> measuring.Predict:
    """The optimum of one step, on weighted examples where the model can weigh them."""

    def of_task(task: Any, point: Mapping[str, Any]) -> measuring.Prediction:
        sizes = {"dim": task.dim, "noise_var": float(task.noise_var)}
        weighted = theory.drift_optimum(task.task_corr, **sizes).risk
        scale, unweighted = theory.unweighted_drift_optimum(task.task_corr, **sizes)
        weighs = model in _WEIGHS
        return {
            "target": weighted if weighs else unweighted,
            "preconditioner": (1.0 if weighs else scale) * np.eye(task.dim),
            "lines": {_TARGETS[True]: weighted, _TARGETS[False]: unweighted},
        }

    return of_task


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each correlation and context length, with the learnt sample weights."""
    model = case["model"]["name"]
    runs, records = measuring.train(config, case, place, predict(model))
    if model not in _WEIGHS:
        return records
    for index, record in enumerate(records):
        record["filter"] = _filters(runs, index)
    return records


def _filters(runs: training.Trained, index: int) -> dict[str, list[float]]:
    """Sample weights of one point by lag, 1 the last example: learnt (over the seeds), optimal.

    Only the product of preconditioner and sample weights acts, so that the weights are taken times
    the preconditioner's mean diagonal.
    """
    task = runs.task(index)
    weights = runs.each(
        lambda model: (
            model.sample_weights(task.context_length)
            * model.preconditioner.trace()
            / model.preconditioner.shape[0]
        )
    )[:, index, ::-1]
    mean, error = training.across_seeds(weights)
    optimal = theory.drift_optimum(
        task.task_corr, dim=task.dim, noise_var=float(task.noise_var)
    ).sample_weights
    return {
        "learnt": np.asarray(mean, np.float64).tolist(),
        "standard_error": np.nan_to_num(np.asarray(error, np.float64)).tolist(),
        "optimal": optimal[::-1].tolist(),
    }


def tables(summary: Summary) -> list["Table"]:
    """One table of all points."""
    title = "risk of trained models against the optimum of one gradient step"
    caption = "H3 is compared with the weighted optimum, attention with the unweighted one"
    return [report.table(summary, title=title, captions=[caption])]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk against correlation and against context length; learnt weights beside optimal ones."""
    made = {}
    titles = {"correlation": "correlation ρ of neighbouring tasks", "context_length": ""}
    labels = {**titles, "context_length": "context length n (examples)"}
    for axis, label in labels.items():
        own = [record for record in records if axis in record["point"]]
        if len({record["point"][axis] for record in own}) > 1:
            made[f"risk_by_{axis}"] = _risks(config, own, axis, label)
    filters = [record for record in records if "filter" in record]
    if filters:
        made["filters"] = _draw_filters(filters)
    return made


def _risks(config: ConfigDict, records: list[Record], axis: str, label: str) -> "Figure":
    figure, axes = style.figure(height=2.4)
    for model in dict.fromkeys(record["model"] for record in records):
        own = report.by(records, model=model)
        report.draw(
            axes,
            own,
            axis,
            name=model,
            label=_LABELS.get(model, model),
            predicted=measuring.predictions_along(config, own[0]["run"], predict(model), axis),
            target_label=_TARGETS[model in _WEIGHS],
        )
        if model in _WEIGHS:  # the other theory is dashed, so that the two differ in print
            axes.lines[-1].set_linestyle((0, (4, 2)))
    style.finish(axes, x=label, y="risk (squared error)")
    return figure


def _draw_filters(records: list[Record]) -> "Figure":
    figure, axes = style.figure(height=2.4)
    by_correlation = [record for record in records if "correlation" in record["point"]]
    drawn = by_correlation or records
    # from one end of the sweep to the other
    places = np.linspace(0, len(drawn) - 1, min(len(drawn), _SHOWN_FILTERS)).round().astype(int)
    drawn = [drawn[place] for place in places]
    for index, record in enumerate(drawn):
        own = record["filter"]
        lags = np.arange(1, len(own["learnt"]) + 1)
        point = ", ".join(
            f"{ {'correlation': 'ρ', 'context_length': 'n'}.get(axis, axis) } = {value:g}"
            for axis, value in record["point"].items()
        )
        style.measured(
            axes,
            lags,
            np.array(own["learnt"]),
            name=index,
            label=f"learnt, {point}",
            error=np.array(own["standard_error"]),
            linestyle="none",
        )
        label = "theory: optimal weights" if index == 0 else None
        style.theory(axes, lags, np.array(own["optimal"]), label=label)
    style.finish(axes, x="examples before the query", y="weight of the example")
    return figure


EXPERIMENT = Experiment(
    cases=measuring.cases,
    measure=measure,
    summarise=report.summarise,
    tables=tables,
    figures=figures,
    check=measuring.check,
)
