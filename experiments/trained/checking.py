"""What a config of the trained experiments must hold, as far as no jax is needed to tell.

`experiments/run.py` asks before it imports a driver, which takes seconds; the drivers ask again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from elsa.base import known_names, train_settings
from elsa.base import values as checks
from experiments.harness import table_keys
from experiments.trained import architecture_table


def runs(config: ConfigDict) -> None:
    """Refuses bad numbers of prompts and models, names of none, and the training of any run."""
    checks.integer("trained", eval_prompts=(config.eval_prompts, 1))
    for name, run in config.runs.items():
        for what in ("task", "model"):
            if "name" in run.get(what, {}):
                known_names.refuse("trained", what, f"runs.{name}.{what}.name", run[what].name)
    _training(config, [run.to_dict() for run in config.runs.values()])


def train(config: ConfigDict) -> None:
    """Refuses bad numbers, unknown names, and a table that is none or has no such columns."""
    known_names.refuse("train", "task", "task.name", config.task.name)
    sizes = {"task.context_length": (config.task.context_length, 1)}
    if config.task.name != "table" and not config.data.path:  # else the table says
        sizes["task.dim"] = (config.task.dim, 1)
    checks.size("train", **sizes)
    architecture_table.refuse(config)
    checks.integer(
        "train", eval_prompts=(config.eval_prompts, 1), watch_prompts=(config.watch_prompts, 1)
    )
    # first: unless it is set, prompt.lam is the noise's variance
    for key, value in {
        "task.noise_var": config.task.noise_var,
        "prompt.lam": config.prompt.lam,
    }.items():
        checks.at_least("train", **{key: (value, 0.0)})
        checks.finite("train", **{key: value})
    _training(config, [{}])
    table_keys.refuse("train", config.data)


def gd_beta_flow(config: ConfigDict) -> None:
    """Refuses bad numbers of starts and times, and of how far they go."""
    where = "gd_beta_flow"
    checks.integer(where, num_starts=(config.num_starts, 1), num_times=(config.num_times, 20))
    checks.positive(where, spread=config.spread, decades=config.decades)
    checks.at_least(where, spread=(config.spread, 1e-6))
    if config.decades > config.num_times:
        raise ValueError(
            f"{where}: decades must be at most num_times={config.num_times}, one time for each at "
            f"least, got {config.decades:g}"
        )


def _training(config: ConfigDict, own: Iterable[Mapping[str, Any]]) -> None:
    """Of every run, which may have numbers of its own."""
    for run in own:
        train_settings.of({**config.train.to_dict(), **run.get("train", {})})
        num_seeds = run.get("num_seeds", config.num_seeds)
        train_settings.refuse_models(config.seed, num_seeds, config.dtype)
