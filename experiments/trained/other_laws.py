"""Trained models on other prompts than they were trained on, beside ridge regression there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, training
from elsa.training.lengths import graph_at
from elsa.training.setup import bare_program
from experiments.harness.experiment import Place, message_of
from experiments.trained import measure, ridge_distance

if TYPE_CHECKING:
    from rich.table import Table

WORDS = {
    "held_out": "queries of rows held out (share)",
    "context_length": "context length n (examples)",
    "covariate_scale": "scale of the covariates",
    "noise_var": "variance of the noise",
    "query_scale": "scale of the query",
    "orthogonal_query": "queries orthogonal to the context (1: they are)",
    "half_subspace": "covariates in half of the dimensions (1: they are)",
    "depth": "layers of the tied stack",
}
DEPTH = "depth"  # the one change that is the model's and not the task's
HELD_OUT = "held_out"  # rows of a table as queries, by the setting that asks for them


def evaluated(
    config: ConfigDict, trained: training.Trained, place: Place
) -> list[list[dict[str, Any]]]:
    """For every point of a run, one entry for each value that the config's `evaluate` asks for.

    Where rows of a table are held out, an entry of these as queries comes first. An entry holds the
    name and the value of what is changed; of the squared errors the mean, its standard error, the
    median and the mean without the worst thousandth, over the seeds that did not diverge, and under
    `of_seeds` of every seed; and ridge regression's risk on the same law.
    """
    asked = [(name, value) for name, values in config.evaluate.items() for value in values]
    points: list[list[dict[str, Any]]] = [[] for _ in trained.program.sweep.names]
    lost = np.asarray(trained.state.diverged)
    for name, value in [*_held_out(trained), *asked]:
        law = _held_out_law(trained) if name == HELD_OUT else None
        change = {} if name == HELD_OUT else {name: value}
        found = trained.evaluate(config.eval_prompts, task=law, screen=place.screen, **change)
        parts = {field: np.where(lost, np.nan, values) for field, values in found._asdict().items()}
        for index, entries in enumerate(points):
            own_law = trained.task(index) if law is None else law
            if change and name != DEPTH:
                own_law = tasks.shifted(own_law, **change)
            risk, _ = ridge_distance.risk_of_ridge(
                own_law, config.seed, config.eval_prompts, config.prompt.lam
            )
            own: dict[str, Any] = {
                field: _over_seeds(part[:, index]) for field, part in parts.items()
            }
            own["of_seeds"] = measure.of_seeds(parts, parts["mean"][:, index], index)
            entries.append({"changed": name, "value": value, "ridge": risk, **own})
    return points


def _held_out(trained: training.Trained) -> list[tuple[str, float]]:
    """What is held out of a table, where something is."""
    share = trained.program.settings.task.get(HELD_OUT, 0.0)
    return [(HELD_OUT, share)] if share else []


def _held_out_law(trained: training.Trained) -> Any:
    """The run's table with queries of the rows that were held out."""
    return tasks.build({**trained.program.settings.task, "queries": HELD_OUT})


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
