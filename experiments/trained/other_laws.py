"""Trained models on other prompts than they were trained on, beside ridge regression there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, training
from elsa.training.lengths import graph_at
from elsa.training.setup import bare_program
from experiments.harness.experiment import Place, message_of
from experiments.trained import closed_forms, measure, texts, train_task

if TYPE_CHECKING:
    from rich.table import Table

DEPTH, TASK, COVARIANCE, LENGTH = "depth", "task", "cov_x", "context_length"
HELD_OUT = "held_out"  # rows of a table as queries, by the setting that asks for them
WORDS = {
    HELD_OUT: "queries of rows held out (share)",
    LENGTH: "context length n (examples)",
    "covariate_scale": "scale of the covariates",
    COVARIANCE: "eigenvalues of the covariates' covariance",
    "noise_var": "variance of the noise",
    "query_scale": "scale of the query",
    "orthogonal_query": "queries orthogonal to the context (1: they are)",
    "half_subspace": "covariates in half of the dimensions (1: they are)",
    DEPTH: "layers of the tied stack",
    TASK: "task",
}
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
        if TASK in self.words:
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


def held_out(task: Mapping[str, Any]) -> Iterator[Change]:
    """Queries of the rows that are held out of a table, where some are.

    Args:
      task: the settings of the task trained on.
    """
    if task.get(HELD_OUT):
        yield Change(HELD_OUT, task[HELD_OUT], {TASK: {**task, "queries": HELD_OUT}})


def evaluated(
    config: ConfigDict, trained: training.Trained, place: Place
) -> list[list[dict[str, Any]]]:
    """For every point of a run, one entry for each value that the config's `evaluate` asks for.

    Where rows of a table are held out, an entry of these as queries comes first. An entry holds the
    name and the value of what is changed; of the squared errors the mean, its standard error, the
    median and the mean without the worst thousandth, over the seeds that did not diverge, and under
    `of_seeds` of every seed; and on the same law ridge regression's risk, and `lines` of theory
    where there are.
    """
    task = trained.program.settings.task
    points: list[list[dict[str, Any]]] = [[] for _ in trained.program.sweep.names]
    lost = np.asarray(trained.state.diverged)
    for change in [*held_out(task), *changes(config, task)]:
        found = trained.evaluate(config.eval_prompts, screen=place.screen, **change.words)
        parts = {field: np.where(lost, np.nan, values) for field, values in found._asdict().items()}
        for index, entries in enumerate(points):
            lines = dict(closed_forms.risks(change.law(trained.task(index)), config))
            entries.append(
                {
                    **{"changed": change.name, "value": change.value},
                    **{"ridge": lines.pop(closed_forms.RIDGE), "lines": lines},
                    **{field: _over_seeds(part[:, index]) for field, part in parts.items()},
                    "of_seeds": measure.of_seeds(parts, parts["mean"][:, index], index),
                }
            )
    return points


def table(records: Sequence[Mapping[str, Any]]) -> "Table":
    """One line for each point and law: the models' risk, mean over the seeds, and ridge's."""
    from rich.table import Table

    made = Table(
        *("run", "evaluated on", "risk", "median", "best 99.9 %", "ridge"),
        title="risk on other laws than trained on",
        title_justify="left",
    )
    for record in records:
        for entry in record["elsewhere"]:
            numbers = (entry[name] for name in ("mean", "median", "trimmed_mean", "ridge"))
            made.add_row(
                record["run"],
                f"{WORDS[entry['changed']]}: {entry['value']}",
                *("-" if number is None else f"{number:.5g}" for number in numbers),
            )
    return made


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
