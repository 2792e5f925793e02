"""Linear attention and H3 with all their weights against one step of preconditioned descent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from elsa import theory
from elsa.report import style
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import measuring, predictions, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

_TITLES = {
    "noiseless": "no label noise, isotropic tasks",
    "noisy": "label noise, isotropic tasks",
    "non_isotropic": "no label noise, tasks of decaying variance",
}
_LABELS = {"linear_attention": "linear attention, trained", "h3": "H3, trained"}


def predict(task: Any, point: Mapping[str, Any]) -> measuring.Prediction:
    """The optimum of one preconditioned step for this task."""
    weight, risk = theory.pgd_optimum(predictions.setting_of(task))
    return {"target": risk, "preconditioner": weight}


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a context length."""
    _, records = measuring.train(config, case, place, predict)
    setting = str(case["run"]).removesuffix(f"_{case['model']['name']}")
    return [{**record, "setting": setting} for record in records]


def tables(summary: Summary) -> list["Table"]:
    """One table of all points."""
    title = "risk of trained models against the optimum of one preconditioned gradient step"
    return [report.table(summary, title=title)]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk against context length, a panel for each setting."""
    settings = list(dict.fromkeys(record["setting"] for record in records))
    figure, panels = style.figure(
        len(settings), height=0.5 + 1.45 * len(settings), sharex=True, squeeze=False
    )
    for axes, setting in zip(panels[:, 0], settings, strict=True):
        own = report.by(records, setting=setting)
        for model in dict.fromkeys(record["model"] for record in own):
            chosen = report.by(own, model=model)
            last = model == own[-1]["model"]
            report.draw(
                axes,
                chosen,
                "context_length",
                name=model,
                label=_LABELS.get(model, model),
                predicted=measuring.predictions_along(
                    config, chosen[0]["run"], predict, "context_length"
                ),
                target_label="theory: one preconditioned step" if last else None,
                markersize=3.5 if last else 5.5,
            )
        axes.margins(y=0.15)  # room for the highest marker
        axes.set_ylim(bottom=0.0)
        axes.set_xticks(sorted({record["point"]["context_length"] for record in own}))
        style.finish(
            axes,
            x="context length n (examples)" if axes is panels[-1, 0] else "",
            y="risk (squared error)",
            title=_TITLES.get(setting, setting),
            legend=axes is panels[0, 0],
        )
    return {"risk": figure}


EXPERIMENT = Experiment(
    cases=measuring.cases,
    measure=measure,
    summarise=report.summarise,
    tables=tables,
    figures=figures,
    check=measuring.check,
)
