"""One architecture on one prompt at one depth, trained or as built, beside ridge regression."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import predictors, tasks, theory, training
from elsa.base import checks
from experiments.harness.experiment import Branch, Case, Experiment, Place, Record, Shown, Summary
from experiments.trained import (
    architectures,
    measure,
    other_laws,
    predictions,
    ridge_distance,
    train_figures,
    warm_start,
)
from experiments.trained.by_value import ByValue
from experiments.trained.spec import TrainedSpec

if TYPE_CHECKING:
    from rich.table import Table

RIDGE, ONE_STEP, BAYES = "ridge", "one step of descent, preconditioned", "Bayes"
_BAYES_SAMPLES = 20_000  # contexts; an error of about 0.3 %
_DESCENT = f"{ridge_distance.DESCENT}/"
_SHOWN = 300  # prompts of the figure of predictions


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """The one run of the config."""
    task = architectures.task_settings(config)
    source = warm_start if warm_start.asked(config) else architectures
    model = source.model_settings(config, tasks.build(task))
    name = warm_start.architecture(model)
    run = {"task": task, "model": model, "sweep": config.axes.to_dict()}
    return {name: {"run": name, **run}}


def check(config: ConfigDict) -> None:
    """Refuses a config whose run cannot be built."""
    checks.integer(
        "train", eval_prompts=(config.eval_prompts, 1), watch_prompts=(config.watch_prompts, 1)
    )
    checks.at_least("train", **{"prompt.lam": (config.prompt.lam, 0.0)})
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


def predict(task: Any, point: Mapping[str, Any], run: predictions.Run) -> predictions.Prediction:
    """Ridge's own risk on this task, and what is known in closed form."""
    config = run.config
    lines = _lines(ByValue(task), config.seed, config.eval_prompts, config.prompt.lam)
    return {"target": lines[RIDGE], "name": RIDGE, "lines": lines}


@functools.lru_cache(maxsize=32)  # the points of a sweep mostly share a task
def _lines(asked: ByValue, seed: int, num_prompts: int, lam: float) -> Mapping[str, float]:
    risk, _ = ridge_distance.risk_of_ridge(asked.task, seed, num_prompts, lam)
    return types.MappingProxyType({RIDGE: risk, **closed_forms(asked.task)})


@functools.singledispatch
def closed_forms(task: Any) -> dict[str, float]:
    """Risks that theory knows of a task: none of one that has no entry here."""
    return {}


@closed_forms.register
def _(task: tasks.LinearRegression) -> dict[str, float]:
    if task.covariates != "normal":
        return {}
    setting = predictions.setting_of(task)
    bayes = theory.bayes_risk(setting, jax.random.key(0), _BAYES_SAMPLES)
    return {ONE_STEP: theory.pgd_optimum(setting).risk, BAYES: bayes.mean}


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each point: risks, distances after every layer, some predictions."""
    task, lam = tasks.build(case["task"]), config.prompt.lam
    step_size = case["model"].get("step_size") or architectures.step_size(task, lam, config.seed)
    look = ridge_distance.watch(config.seed, config.watch_prompts, lam, step_size)
    start = warm_start.start(config) if warm_start.asked(config) else {}
    trained, records = measure.train(
        config, case, place, predict, watch=look, **start, keep_lost=True, robust=True
    )
    steps, watched = trained.watched_along_training()
    elsewhere = other_laws.evaluated(config, trained, place)
    layers = sum(name.startswith(f"{ridge_distance.RIDGE}/") for name in watched) - 1
    descent = ridge_distance.descent_to_ridge(
        task, config.seed, config.watch_prompts, lam, step_size, layers
    )
    shown = _shown(config, trained)
    for index, record in enumerate(records):
        own = {name: values[:, :, index] for name, values in watched.items()}
        record |= {
            "depth": layers,
            "step_size": step_size,
            "watched_steps": steps.tolist(),
            "watched": {name: measure.plain(values) for name, values in own.items()},
            "step_layers": sorted(
                int(name.partition("/")[2]) for name in own if name.startswith(_DESCENT)
            ),
            "descent_to_ridge": descent,
            "shown": shown[index],
            "elsewhere": elsewhere[index],
        }
    return records


def _shown(config: ConfigDict, trained: training.Trained) -> list[dict[str, list[float | None]]]:
    """For each point, predictions of the first seed that did not diverge, ridge's, and labels."""
    found: dict[ByValue, dict[str, np.ndarray]] = {}
    seeds = np.argmin(np.asarray(trained.state.diverged), axis=0)
    shown = []
    for point, seed in enumerate(seeds):
        task = ByValue(trained.task(point))
        if task not in found:
            found[task] = _all_shown(config, trained, task.task)
        parts = found[task] | {"model": found[task]["model"][seed, point]}
        shown.append({name: measure.plain(values.round(6)) for name, values in parts.items()})
    return shown


def _all_shown(config: ConfigDict, trained: training.Trained, task: Any) -> dict[str, np.ndarray]:
    """Predictions of all models, [seeds, points, prompts], for the same prompts of a task."""
    key = jax.random.key(config.seed)
    prompt = ridge_distance.prompts(task, key, _SHOWN, trained.model())
    return {
        "model": trained.each(lambda model: model(prompt)),
        "ridge": np.asarray(predictors.ridge(prompt, config.prompt.lam)),
        "label": np.asarray(prompt.query_y),
    }


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


def tables(summary: Summary) -> list["Table"]:
    """All points, and where something else was evaluated its table."""
    rows = summary["rows"]
    elsewhere = any(row["elsewhere"] for row in rows)
    return [*SPEC.tables(summary), *([other_laws.table(rows)] if elsewhere else [])]


SPEC = TrainedSpec(
    target="ridge",
    title="risk beside that of ridge regression with the prompt's regulariser",
    x="depth",
    x_label="layers",
    predict=predict,
    figures=train_figures.figures,
)
EXPERIMENT: Experiment = dataclasses.replace(
    SPEC.experiment(),
    cases=cases,
    measure=measured,
    check=check,
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
