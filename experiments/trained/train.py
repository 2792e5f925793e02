"""One architecture on one prompt at one depth, trained or as built, beside ridge regression."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from elsa import tasks, training
from experiments.harness.experiment import Branch, Case, Experiment, Record, Shown, Summary
from experiments.trained import (
    architectures,
    checking,
    closed_forms,
    measure,
    other_laws,
    report,
    train_figures,
    train_records,
    train_task,
    warm_start,
)
from experiments.trained.spec import TrainedSpec

if TYPE_CHECKING:
    from rich.table import Table

_BY_HEART = (
    "prompts are cut from the rows that were trained on, which a model may know by heart: below "
    "ridge, queries of rows held out tell (data.held_out)"
)


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """The one run of the config."""
    task = train_task.settings(config)
    source = warm_start if warm_start.asked(config) else architectures
    model = source.model_settings(config, tasks.build(task))
    name = warm_start.architecture(model)
    run = {"task": task, "model": model, "sweep": config.axes.to_dict()}
    return {name: {"run": name, **run}}


def check(config: ConfigDict) -> None:
    """Refuses a config whose run cannot be built."""
    checking.train(config)
    for case in cases(config).values():
        settings = measure.settings_of(config, case)
        other_laws.check(config, training.validate(settings))
        if warm_start.asked(config):
            warm_start.check(config, settings)


def refuse_branch(
    config: ConfigDict, case: Case, folder: Path, branch: Branch, overwrite: bool
) -> None:
    """Refuses a run that cannot start from the branch's checkpoint, or starts elsewhere."""
    if warm_start.asked(config):
        raise ValueError("--branch and model.init='checkpoint' are two starts; leave one out")
    measure.refuse_branch(config, case, folder, branch, overwrite)


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Every point's numbers, and what there is to know of a table's."""
    trained = train_task.is_table(config) and config.train.num_steps > 0
    return {**report.summarise(config, records), "captions": [_BY_HEART] if trained else []}


def tables(summary: Summary) -> list["Table"]:
    """All points, and where something else was evaluated its table."""
    rows, captions = summary["rows"], summary["captions"]
    elsewhere = any(row["elsewhere"] for row in rows)
    return [
        report.table(summary, title=SPEC.title, target=SPEC.target, captions=captions),
        *([other_laws.table(rows)] if elsewhere else []),
    ]


def shares(config: ConfigDict) -> Mapping[str, str]:
    """Keys whose values one program can run side by side."""
    start = "init_scale" if config.model.init == "random" else "noise"
    drawn = config.model.architecture in ("lsa", "elsa") and not warm_start.asked(config)
    of_stacks = {f"model.{start}": start} if drawn else {}
    return {"train.learning_rate": "learning_rate", **of_stacks}


def with_axes(config: ConfigDict, axes: Mapping[str, tuple[Any, ...]]) -> ConfigDict:
    """The config of one program for the product of these axes."""
    config.axes = ConfigDict(dict(axes))
    return config


SPEC = TrainedSpec(
    target="ridge",
    title="risk beside that of ridge regression with the prompt's regulariser",
    x="depth",
    x_label="layers",
    predict=closed_forms.beside_ridge,
    figures=train_figures.figures,
)
EXPERIMENT: Experiment = dataclasses.replace(
    SPEC.experiment(),
    cases=cases,
    measure=train_records.measured,
    check=check,
    check_given=warm_start.refuse_given,
    summarise=summarise,
    tables=tables,
    branches=refuse_branch,
    shares=shares,
    shown=Shown(
        theory=train_figures.RIDGE_ITSELF,
        robust="trimmed_mean",
        robust_name="mean of the best 99.9 %",
    ),
    with_axes=with_axes,
)
