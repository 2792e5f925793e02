"""Trained models on other prompts than they were trained on, beside ridge regression there."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, training
from elsa.training.lengths import graph_at
from elsa.training.setup import bare_program
from experiments.harness.experiment import Place, message_of
from experiments.trained import ridge_distance, texts, train_task
from experiments.trained.closed_forms import closed_forms

DEPTH, TASK, COVARIANCE, LENGTH = "depth", "task", "cov_x", "context_length"
_SHARED = ("dim", LENGTH, "noise_var")  # what another task has of the one trained on


class Change(NamedTuple):
    """One value that the config's `evaluate` asks for.

    name: of the key.
    value: as the config says it.
    words: of `Trained.evaluate`.
    """

    name: str
    value: Any
    words: Mapping[str, Any]

    def law(self, trained_on: Any) -> Any:
        """The task, from the one trained on."""
        if self.name == DEPTH:  # the one change that is the model's and not the task's
            return trained_on
        if self.name == TASK:
            return tasks.build(self.words[TASK])
        return tasks.shifted(trained_on, **self.words)


def changes(config: ConfigDict, task: Mapping[str, Any]) -> Iterator[Change]:
    """All that the config asks for.

    Args:
      config: of the experiment.
      task: the settings of the task trained on.

    Raises:
      ValueError: for a text, or a covariance, that is none.
    """
    for name, values in config.evaluate.items():
        if name == TASK:
            for said, settings in texts.tasks(values, f"config.evaluate.{TASK}"):
                yield Change(name, said, {TASK: _of_the_same_size(settings, task)})
            continue
        for value in values:
            words = {name: value}
            if name == COVARIANCE:
                dim = tasks.build(task).dim
                given = train_task.eigenvalues(f"config.evaluate.{COVARIANCE}", value, dim)
                words = {name: np.diag(given) if np.ndim(given) == 1 else np.array(given)}
            yield Change(name, value, words)


def evaluated(
    config: ConfigDict, trained: training.Trained, place: Place
) -> list[list[dict[str, Any]]]:
    """For every point of a run, one entry for each value that the config's `evaluate` asks for.

    An entry holds the name and the value of what is changed; of the squared errors the mean, its
    standard error, the median and the mean without the worst thousandth, over the seeds; and on the
    same law ridge regression's risk, and `lines` of theory where there are.
    """
    points: list[list[dict[str, Any]]] = [[] for _ in trained.program.sweep.names]
    for change in changes(config, trained.program.settings.task):
        found = trained.evaluate(config.eval_prompts, screen=place.screen, **change.words)
        for index, entries in enumerate(points):
            law = change.law(trained.task(index))
            risk, _ = ridge_distance.risk_of_ridge(
                law,
                config.seed,
                config.eval_prompts,
                config.prompt.lam,
                optimise=config.train.optimise,
            )
            own = {field: _over_seeds(part[:, index]) for field, part in found._asdict().items()}
            said = {"changed": change.name, "value": change.value}
            entries.append({**said, "ridge": risk, "lines": closed_forms(law), **own})
    return points


def check(config: ConfigDict, settings: training.RunSettings) -> None:
    """Refuses what the models or the task cannot be evaluated on, before anything is trained.

    Raises:
      ValueError, TypeError, KeyError: naming the key of the config, and why.
    """
    asked = list(changes(config, settings.task))
    if not asked:
        return
    program, trained_on = bare_program(settings), tasks.build(settings.task)
    for change in asked:
        try:
            if change.name == LENGTH:  # which a task that is given shorter has at any value
                law = tasks.build({**settings.task, **change.words})
            else:
                law = change.law(trained_on)
            if law.dim != trained_on.dim:
                raise ValueError(f"it must have the dim={trained_on.dim} of the run, got {law.dim}")
            depth = change.words.get(DEPTH)
            graph_at("evaluate", program, 0, law.context_length, depth=depth)
        except (ValueError, TypeError, KeyError) as error:
            empty = "''" if change.name == TASK else "'()'"
            raise type(error)(
                f"config.evaluate.{change.name}={change.value}: {message_of(error)}; "
                f"--config.evaluate.{change.name}={empty} leaves it out"
            ) from error


def _of_the_same_size(settings: dict[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """Another task with the sizes and the noise of the one trained on, where it has them."""
    cls = tasks.TASKS.get(settings["name"])
    if cls is None:
        return settings  # `tasks.build` says what there is
    known = train_task.names_of(cls)
    built = tasks.build(task)
    shared = {name: getattr(built, name) for name in _SHARED if hasattr(built, name)}
    return {**{name: value for name, value in shared.items() if name in known}, **settings}


def _over_seeds(values: np.ndarray) -> float | None:
    """The mean over the seeds that came to their end; None where none did."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
