"""Tasks that drift along the context: H3 weighs its examples, attention cannot."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from ml_collections import ConfigDict

from elsa import theory, training
from elsa.report import style
from experiments.harness.experiment import Case, Record, Summary
from experiments.trained import panels, report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = {
    "correlation": "correlation ρ of neighbouring tasks",
    "context_length": "context length n (examples)",
}
_SHOWN_FILTERS = 3


def filters(case: Case, trained: training.Trained, records: list[Record]) -> list[Record]:
    """Sample weights by lag, 1 the last example: learnt (over the seeds), optimal.

    Only the product of preconditioner and sample weights acts, so that the weights are taken times
    the preconditioner's mean diagonal.
    """
    if not trained.model().weighs_rows:
        return [{} for _ in records]
    return [
        {} if record["risk"] is None else {"filter": _filter(trained, index, record["risks"])}
        for index, record in enumerate(records)
    ]


def _filter(
    trained: training.Trained, index: int, risks: list[float | None]
) -> dict[str, list[float]]:
    """Of the seeds that came to their end."""
    task = trained.task(index)
    weights = trained.each(
        lambda model: (
            model.sample_weights(task.context_length)
            * model.preconditioner.trace()
            / model.preconditioner.shape[0]
        )
    )[:, index, ::-1]
    mean, error = training.across_seeds(weights[[risk is not None for risk in risks]])
    optimal = theory.drift_optimum(
        task.task_corr, dim=task.dim, noise_var=float(task.noise_var)
    ).sample_weights
    return {
        "learnt": np.asarray(mean, np.float64).tolist(),
        "standard_error": np.nan_to_num(np.asarray(error, np.float64)).tolist(),
        "optimal": optimal[::-1].tolist(),
    }


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk against correlation and against context length; learnt weights beside optimal ones."""
    made = {}
    for axis, label in _AXES.items():
        along_axis = [record for record in records if axis in record["point"]]
        if len(report.values_of(along_axis, axis)) > 1:
            along = dataclasses.replace(SPEC, x=axis, x_label=label)
            made[f"risk_by_{axis}"] = panels.draw(along, config, along_axis)
    weighed = [record for record in records if "filter" in record]
    if weighed:
        made["filters"] = _draw_filters(weighed)
    return made


def _draw_filters(records: list[Record]) -> "Figure":
    figure, axes = style.figure(height=2.4)
    by_correlation = [record for record in records if "correlation" in record["point"]]
    drawn = by_correlation or records
    # from one end of the sweep to the other
    places = np.linspace(0, len(drawn) - 1, min(len(drawn), _SHOWN_FILTERS)).round().astype(int)
    for index, record in enumerate(drawn[place] for place in places):
        weights = record["filter"]
        lags = np.arange(1, len(weights["learnt"]) + 1)
        point = ", ".join(f"{report.symbol(axis)} = {v:g}" for axis, v in record["point"].items())
        style.measured(
            axes,
            lags,
            np.array(weights["learnt"]),
            name=index,
            label=f"learnt, {point}",
            error=np.array(weights["standard_error"]),
            linestyle="none",
        )
        own = style.colour(index)
        style.theory(axes, lags, np.array(weights["optimal"]), label=None, color=own)
    colours = [style.colour(index) for index in range(min(len(drawn), _SHOWN_FILTERS))]
    style.kind(axes, "theory: optimal weights", colours)
    style.bars(axes, "± s.e. over seeds")
    style.finish(axes, x="examples before the query", y="weight of the example")
    return figure


SPEC = TrainedSpec(
    title="risk of trained models against the optimum of one gradient step",
    captions=("H3 is compared with the weighted optimum, attention with the unweighted one",),
    x="correlation",
    x_label=_AXES["correlation"],
    more=filters,
    figures=figures,
)
EXPERIMENT = SPEC.experiment()
