"""What a config of the trained experiments must hold, as far as no jax is needed to tell.

`experiments/run.py` asks before it imports a driver, which takes seconds; the drivers ask again.
"""

from ml_collections import ConfigDict

from elsa.base import values as checks
from elsa.base.table_path import table_file


def runs(config: ConfigDict) -> None:
    """Refuses a bad number of prompts."""
    checks.integer("trained", eval_prompts=(config.eval_prompts, 1))


def train(config: ConfigDict) -> None:
    """Refuses bad numbers, and a table that is not there."""
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
    if config.data.path:
        table_file(config.data.path)
