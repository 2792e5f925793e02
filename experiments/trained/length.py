"""Models on contexts of other lengths than the one they were trained on."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, theory
from elsa.base import checks
from elsa.report import style
from experiments.harness.diverged import LOST
from experiments.harness.experiment import Case, Place, Record, Summary
from experiments.trained import measure, predictions, report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RESCALED, _OPTIMUM = "optimum of the length trained on", "optimum of each length"
_MODELS = ("linear_attention", "merged_attention")  # one preconditioner
_PLACES = 51  # of a line of theory
_OF_SEEDS = ("median", "trimmed_mean", "low", "high")


def check(config: ConfigDict) -> None:
    """Refuses runs that cannot be built, bad lengths, and models without a weight."""
    measure.check(config)
    for length in config.lengths:
        checks.integer("length", lengths=(length, 1))
    for run in measure.cases(config).values():
        task = tasks.build(run["task"])
        if not isinstance(task, tasks.LinearRegression) or run.get("sweep"):
            raise ValueError(
                "length: every run must train one linear_regression, without a sweep, got "
                f"{run['task']['name']!r} with the sweep {dict(run.get('sweep', {}))}"
            )
        checks.one_of("length", "model", run["model"]["name"], _MODELS)


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each length that the run's models are evaluated on."""
    trained, (at_one,) = measure.train(config, case, place, predictions.of)
    at_training = predictions.setting_of(trained.task())
    best = theory.pgd_optimum(at_training).weight
    weights = trained.each(lambda model: model.preconditioner)[:, 0]
    lost = np.asarray(trained.state.diverged)[:, 0]
    said = {LOST: at_one[LOST]} if LOST in at_one else {}
    records = []
    for length in config.lengths:
        setting = dataclasses.replace(at_training, context_length=length)
        factor = at_training.context_length / length  # 1/m in the place of 1/n
        evaluation = trained.evaluate(
            config.eval_prompts, context_length=length, screen=place.screen, name=case["run"]
        )
        own_risks = [theory.pgd_risk(factor * weight, setting) for weight in weights[~lost]]
        lines = {
            _RESCALED: theory.pgd_risk(factor * best, setting),
            _OPTIMUM: theory.pgd_optimum(setting).risk,
        }
        risks = np.where(lost, np.nan, evaluation.mean[:, 0])
        record = measure.record_of(
            case,
            {"context_length": length},
            # of no trained weight there is nothing to say but of the best one
            {"target": float(np.mean(own_risks or [lines[_RESCALED]])), "lines": lines},
            risks,
            evaluation.standard_error[:, 0],
        )
        parts = {name: getattr(evaluation, name) for name in _OF_SEEDS}
        beside = {"of_seeds": measure.of_seeds(parts, risks, 0)}
        own = {"own_weights": own_risks, "steps": trained.step}
        records.append({**record, **beside, **own, **said})
    return records


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk against context length; theory at every length between those that were measured."""
    figure, axes = style.figure(height=3.0)
    lengths = sorted(set(config.lengths))
    for index, run in enumerate(config.runs):
        task = tasks.build(config.runs[run].task.to_dict())
        colour = style.THEORY if len(config.runs) == 1 else style.colour(index)
        _draw(axes, report.by(records, run=run), predictions.setting_of(task), index, colour)
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    style.logarithmic(axes)
    style.bars(axes, "± s.e., seeds and prompts")
    style.finish(axes, x=SPEC.x_label, y="risk (squared error)", legend=False)
    style.legend_outside(figure, columns=1)
    return {"risk": figure}


def _draw(
    axes: "Axes", records: list[Record], setting: theory.Setting, index: int, colour: str
) -> None:
    """The measured risks of one run, and three lines of theory."""
    lengths = np.array([report.value_of(record, SPEC.x) for record in records])
    between = np.unique(np.geomspace(lengths.min(), lengths.max(), _PLACES).round().astype(int))
    # scaled by 1/n, a weight has a risk that is affine in 1/n: nothing is guessed in between
    order, targets = np.argsort(lengths), np.array([record["target"] for record in records])
    of_weight = np.interp(-1.0 / between, -1.0 / lengths[order], targets[order])
    style.theory(axes, between, of_weight, label="theory: the trained weight, scaled")
    best, trained_at = theory.pgd_optimum(setting).weight, setting.context_length
    at = [dataclasses.replace(setting, context_length=int(length)) for length in between]
    scaled = [theory.pgd_risk(trained_at / n.context_length * best, n) for n in at]
    optima = [theory.pgd_optimum(n).risk for n in at]
    for risks, label, stroke in (
        (scaled, f"optimum at n = {trained_at}, scaled", (0, (4, 3))),
        (optima, "optimum of each length", "-"),
    ):
        look: dict[str, Any] = {"linestyle": stroke, "linewidth": 0.8, "color": colour}
        style.theory(axes, between, np.array(risks), label=f"theory: {label}", zorder=2, **look)
    model = records[0]["model"].replace("_", " ")
    reached = report.reached(records)
    style.measured(
        axes,
        np.array([report.value_of(record, SPEC.x) for record in reached]),
        np.array([record["risk"] for record in reached]),
        name=index,
        label=f"{model}, trained at n = {trained_at}",
        error=np.array([report.total_error(record) for record in reached]),
        linestyle="none",
    )


SPEC = TrainedSpec(
    title="risk on contexts of other lengths, beside theory for the trained weight",
    captions=("theory: of the trained weights at that length, the mean over the seeds",),
    x="context_length",
    x_label="context length n (examples)",
    figures=figures,
)
EXPERIMENT = dataclasses.replace(SPEC.experiment(), measure=measured, check=check)
