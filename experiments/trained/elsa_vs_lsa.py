"""What biases buy: ELSA, LSA with one head and many, and LSA that is told the roles of its rows."""

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from elsa.base import checks
from experiments.harness.experiment import Case, Place, Record
from experiments.trained import biases, elsa_vs_lsa_report, measure
from experiments.trained.spec import TrainedSpec

PANELS = tuple(elsa_vs_lsa_report.AXES)
_SORTED = 8  # a share of the prompts, of which the errors are kept and sorted


def check(config: ConfigDict) -> None:
    """Refuses runs that belong to no panel, besides what training refuses."""
    checks.integer("elsa_vs_lsa", bayes_samples=(config.bayes_samples, 2))
    for name, run in config.runs.items():
        checks.one_of(f"runs.{name}", "panel", run.get("panel", ""), PANELS)
        checks.one_of(f"runs.{name}", "model", run.model.name, ("elsa", "lsa"))
        wanted = "linear_regression" if run.panel == "mean" else "affine_regression"
        checks.one_of(f"runs.{name}", "task", run.task.name, (wanted,))
    measure.check(config)


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each point; of deep stacks also the risk without the worst prompts."""
    trained, records = measure.train(config, case, place, biases.predict)
    depth = case["model"].get("depth", 1)
    found = (
        trained.evaluate(
            max(1, config.eval_prompts // _SORTED), screen=place.screen, name=case["run"]
        )
        if depth > 1
        else None
    )
    for index, record in enumerate(records):
        task = trained.task(index)
        mean = getattr(task, "task_mean", None)
        record |= {
            "panel": case["panel"],
            "label": biases.label_of(case["model"]),
            "depth": depth,
            "bound": depth > 1,
            "mean_norm": 0.0 if mean is None else float(np.linalg.norm(mean)),
            "intercept": float(np.sqrt(getattr(task, "intercept_var", 0.0))),
        }
        if found is not None:
            for name in ("trimmed_mean", "median"):
                record[name] = [_finite(value) for value in getattr(found, name)[:, index]]
    return records


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


SPEC = TrainedSpec(
    title="risk of trained stacks with and without biases beside their closed forms",
    x="mean_norm",
    x_label=elsa_vs_lsa_report.AXES["mean"][1],
    hue="label",
    predict=biases.predict,
    figures=elsa_vs_lsa_report.figures,
)
EXPERIMENT = dataclasses.replace(
    SPEC.experiment(),
    measure=measured,
    check=check,
    summarise=elsa_vs_lsa_report.summarise,
    tables=elsa_vs_lsa_report.tables,
)
