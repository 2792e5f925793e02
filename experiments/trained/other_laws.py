"""Trained models on other prompts than they were trained on, beside ridge regression there."""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, training
from elsa.training.lengths import graph_at
from elsa.training.setup import bare_program
from experiments.harness.experiment import Place, message_of
from experiments.trained import measure, ridge_distance

DEPTH = "depth"  # the one change that is the model's and not the task's


def evaluated(
    config: ConfigDict, trained: training.Trained, place: Place
) -> list[list[dict[str, Any]]]:
    """For every point of a run, one entry for each value that the config's `evaluate` asks for.

    An entry holds the name and the value of what is changed; of the squared errors the mean, its
    standard error, the median and the mean without the worst thousandth, over the seeds, and under
    `of_seeds` of every seed; and ridge regression's risk on the same law.
    """
    points: list[list[dict[str, Any]]] = [[] for _ in trained.program.sweep.names]
    for name, values in config.evaluate.items():
        for value in values:
            found = trained.evaluate(config.eval_prompts, screen=place.screen, **{name: value})
            for index, entries in enumerate(points):
                law = trained.task(index)
                law = law if name == DEPTH else tasks.shifted(law, **{name: value})
                risk, _ = ridge_distance.risk_of_ridge(
                    law, config.seed, config.eval_prompts, config.prompt.lam
                )
                own: dict[str, Any] = {
                    field: _over_seeds(part[:, index]) for field, part in found._asdict().items()
                }
                own["of_seeds"] = measure.of_seeds(found._asdict(), found.mean[:, index], index)
                entries.append({"changed": name, "value": value, "ridge": risk, **own})
    return points


def check(config: ConfigDict, settings: training.RunSettings) -> None:
    """Refuses what the models or the task cannot be evaluated on, before anything is trained.

    Raises:
      ValueError, TypeError: naming the key of the config, and why.
    """
    program = bare_program(settings)
    for name, values in config.evaluate.items():
        for value in values:
            try:
                if name == DEPTH:
                    length = program.sweep.points.task.context_length
                    graph_at("evaluate", program, 0, length, depth=value)
                    continue
                other = {name: value} if name == "context_length" else {}
                law = tasks.build({**settings.task, **other})
                if not other:
                    tasks.shifted(law, **{name: value})
                graph_at("evaluate", program, 0, law.context_length)
            except (ValueError, TypeError) as error:
                text = message_of(error)
                raise type(error)(
                    f"config.evaluate.{name}={value}: {text}; --config.evaluate.{name}='()' leaves "
                    "it out"
                ) from error


def _over_seeds(values: np.ndarray) -> float | None:
    """The mean over the seeds that came to their end; None where none did."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
