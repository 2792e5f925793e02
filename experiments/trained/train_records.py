"""What a run of `train` measures: risks, distances to ridge after every layer, predictions."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from elsa import predictors, tasks, training
from experiments.harness import terminal
from experiments.harness.experiment import Case, Place, Record
from experiments.trained import (
    architectures,
    measure,
    other_laws,
    plain,
    ridge_distance,
    warm_start,
)
from experiments.trained.by_value import ByValue
from experiments.trained.closed_forms import RIDGE, beside_ridge

_SHOWN = 300  # prompts of the figure of predictions


def measured(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record for each point: risks, distances after every layer, some predictions."""
    task, lam = tasks.build(case["task"]), config.prompt.lam
    step_size = case["model"].get("step_size") or architectures.step_size(task, lam, config.seed)
    algorithm = plain.beside(case["model"], lam, step_size)
    look = ridge_distance.watch(config.seed, config.watch_prompts, lam, algorithm)
    start = {}
    if warm_start.asked(config):
        start = warm_start.start(config)
        terminal.say(place.screen, warm_start.said(config, case["model"]))
    options: dict[str, Any] = {"target_name": RIDGE, "robust": True}
    trained, records = measure.train(
        config, case, place, beside_ridge, watch=look, **start, **options
    )
    steps, watched = trained.watched_along_training()
    elsewhere = other_laws.evaluated(config, trained, place)
    layers = sum(name.startswith(f"{ridge_distance.RIDGE}/") for name in watched) - 1
    prefix = f"{ridge_distance.PLAIN}/"
    step_layers = sorted(int(n.removeprefix(prefix)) for n in watched if n.startswith(prefix))
    shown = _shown(config, trained)
    for index, record in enumerate(records):
        own = {name: values[:, :, index] for name, values in watched.items()}
        alone = np.array([own.pop(f"{prefix}{layer}")[-1, 0] for layer in step_layers])
        record |= {
            "depth": layers,
            "step_size": step_size,
            "watched_steps": steps.tolist(),
            "watched": {name: measure.plain(values) for name, values in own.items()},
            "algorithm": algorithm.label,
            "step_layers": step_layers,
            "algorithm_to_ridge": measure.plain(alone),
            "shown": shown[index],
            "elsewhere": elsewhere[index],
        }
    return records


def _shown(config: ConfigDict, trained: training.Trained) -> list[dict[str, list[float | None]]]:
    """For each point, predictions of the first seed that did not diverge, ridge's, and labels."""
    answers: dict[ByValue, dict[str, np.ndarray]] = {}
    seeds = np.argmin(np.asarray(trained.state.diverged), axis=0)
    shown = []
    for point, seed in enumerate(seeds):
        task = ByValue(trained.task(point))
        if task not in answers:
            answers[task] = _answers(config, trained, task.task)
        parts = answers[task] | {"model": answers[task]["model"][seed, point]}
        shown.append({name: measure.plain(values.round(6)) for name, values in parts.items()})
    return shown


def _answers(config: ConfigDict, trained: training.Trained, task: Any) -> dict[str, np.ndarray]:
    """Predictions of all models, [seeds, points, prompts], for the same prompts of a task."""
    one = trained.model()

    def drawn(task: Any, key: Array) -> tuple[tasks.Prompt, Array]:
        prompt = ridge_distance.prompts(task, key, _SHOWN, one)
        return prompt, predictors.ridge(prompt, config.prompt.lam)

    prompt, ridge = trained.program.compiled(drawn)(task, jax.random.key(config.seed))
    return {
        "model": trained.each(lambda model: model(prompt)),
        "ridge": np.asarray(ridge),
        "label": np.asarray(prompt.query_y),
    }
