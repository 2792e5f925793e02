"""One architecture on one prompt at one depth, trained or as built, beside ridge regression."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from elsa import predictors, tasks, training
from elsa.base import checks
from experiments.harness.experiment import Branch, Case, Experiment, Place, Record
from experiments.trained import (
    architectures,
    measure,
    other_laws,
    plain,
    predictions,
    ridge_distance,
    train_figures,
    train_task,
    warm_start,
)
from experiments.trained.closed_forms import closed_forms
from experiments.trained.spec import TrainedSpec

RIDGE = "ridge"
_SHOWN = 300  # prompts of the figure of predictions


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
    risk, _ = ridge_distance.risk_of_ridge(
        task,
        config.seed,
        config.eval_prompts,
        config.prompt.lam,
        optimise=config.train.optimise,
    )
    return {"target": risk, "name": RIDGE, "lines": {RIDGE: risk, **closed_forms(task)}}


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each point: risks, distances after every layer, some predictions."""
    task, lam = tasks.build(case["task"]), config.prompt.lam
    quickly = {"optimise": config.train.optimise}
    step_size = case["model"].get("step_size") or architectures.step_size(
        task, lam, config.seed, **quickly
    )
    algorithm = plain.beside(case["model"], lam, step_size)
    look = ridge_distance.watch(config.seed, config.watch_prompts, lam, algorithm)
    start = warm_start.start(config) if warm_start.asked(config) else {}
    trained, records = measure.train(
        config, case, place, predict, watch=look, **start, keep_lost=True
    )
    steps, watched = trained.watched_along_training()
    along = trained.risk_along_training()
    elsewhere = other_laws.evaluated(config, trained, place)
    layers = sum(name.startswith(f"{ridge_distance.RIDGE}/") for name in watched) - 1
    step_layers = sorted(
        int(layer)
        for part, _, layer in (name.partition("/") for name in watched)
        if part == algorithm.name
    )
    last = algorithm.first + len(step_layers) - 1
    alone = ridge_distance.plain_to_ridge(
        task, config.seed, config.watch_prompts, lam, algorithm, last, **quickly
    )
    for index, record in enumerate(records):
        own = {name: values[:, :, index] for name, values in watched.items()}
        record |= {
            "depth": layers,
            "step_size": step_size,
            "watched_steps": steps.tolist(),
            "watched": {name: _finite(values) for name, values in own.items()},
            "algorithm": algorithm.label,
            "step_layers": step_layers,
            "algorithm_to_ridge": alone,
            "along_training": {
                "steps": along[0].tolist(),
                "losses": _finite(along[1][:, :, index]),
            },
            "shown": _shown(config, trained, index),
            "elsewhere": elsewhere[index],
        }
    return records


def _shown(
    config: ConfigDict, trained: training.Trained, point: int
) -> dict[str, list[float | None]]:
    """Predictions of the first seed that did not diverge, ridge's, and the labels."""
    lost = np.asarray(trained.state.diverged)[:, point]

    def answers(model: Any, task: Any, key: Array) -> dict[str, Array]:
        prompt = ridge_distance.prompts(task, key, _SHOWN, model)
        ridge = predictors.ridge(prompt, config.prompt.lam)
        return {"model": model(prompt), "ridge": ridge, "label": prompt.query_y}

    model, key = trained.model(int(np.argmin(lost)), point), jax.random.key(config.seed)
    parts = trained.program.compiled(answers)(model, trained.task(point), key)
    return {name: _finite(np.asarray(values).round(6)) for name, values in parts.items()}


def _finite(values: np.ndarray) -> list[Any]:
    """Nested lists, None where a number is not finite."""
    if values.ndim == 0:
        return float(values) if np.isfinite(values) else None  # type: ignore[return-value]
    return [_finite(value) for value in values]


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
    branches=refuse_branch,
    shares=shares,
    with_axes=with_axes,
)
