"""What the configs of trained experiments share: each gives its runs, and what it does otherwise.

    quick = base.is_quick("my_experiment", mode)
    return base.trained("my_experiment", quick, runs, train={"num_steps": 400 if quick else 4_000})

A key that is shared stands in every config all the same, and can be set on the command line.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

_EVERY = {
    "batch": 256,
    "learning_rate": 0.02,
    "warmup": 50,
    "evaluate_every": 50,
    # these three may change when a run goes on
    "checkpoint_seconds": 30.0,  # between checkpoints, of which the last `keep` stay
    "keep": 3,
    "tracker": "tensorboard",  # or "wandb", "mlflow", "none": where losses are shown
    "matmul_precision": "highest",  # "high", "default": faster, on an accelerator
}
DRAWN = {  # how prompts come to the models
    "sampler": "auto",  # "rows", "gram", or the cheaper of what is possible
    "share_data": False,  # True: all seeds see the same prompts
}
DECAYING = {
    "decay": "cosine",  # or "constant"
    "patience": 0,  # evaluations without improvement until a model stops; 0: never
}
# one layer, whose optimum is known: weights are their mean over this last share of the steps
AVERAGED = {**_EVERY, **DRAWN, **DECAYING, "average": 0.75}
# several layers, or a feed-forward layer behind: gradients are cut to this norm
CLIPPED = {**_EVERY, "warmup": 100, "max_gradient_norm": 1.0}


def is_quick(name: str, mode: str) -> bool:
    """Whether a config is asked for in its small version, for tests, and not in full.

    Raises:
      ValueError: for another mode than "full" and "quick".
    """
    if mode not in ("full", "quick"):
        raise ValueError(f"{name}: mode must be 'full' or 'quick', got {mode!r}")
    return mode == "quick"


def trained(
    name: str,
    quick: bool,
    runs: Mapping[str, Any],
    *,
    train: Mapping[str, Any],
    like: Mapping[str, Any] = AVERAGED,
    **own: Any,
) -> ConfigDict:
    """The config of an experiment that trains.

    Args:
      name: of the experiment, as `experiments/drivers.py` lists it.
      quick: fewer seeds, fewer prompts, smaller batches.
      runs: name -> task, model and sweep, and under `train` what one run does otherwise.
      train: how all runs are trained, as far as it is not `like` one of the above.
      like: AVERAGED or CLIPPED.
      **own: further keys of the config, or others in place of num_seeds and eval_prompts.
    """
    shared = {
        "experiment": name,
        "seed": 0,
        "dtype": "float32",
        "num_seeds": 2 if quick else 5,
        "eval_prompts": 20_000 if quick else 200_000,
    }
    # False compiles in about half the time, which few steps would not earn back
    small = {"batch": 128, "optimise": False} if quick else {}
    config = ConfigDict({**shared, **own, "runs": {}, "train": {**like, **small, **train}})
    for run, settings in runs.items():  # one by one: a ConfigDict keeps what two of them share
        config.runs[run] = ConfigDict(settings)
    return config


def with_prior_mean(
    name: str, quick: bool, runs: Mapping[str, Any], *, train: Mapping[str, Any]
) -> ConfigDict:
    """The config of blocks and attention alone, trained on tasks with a prior mean."""
    defaults = {
        "share_data": True,
        "sampler": "rows" if quick else "auto",  # quicker to compile
        "optimise": not quick,  # False compiles in about half the time
    }
    return trained(name, quick, runs, train={**defaults, **train}, like=CLIPPED, **bayes(quick))


def bayes(quick: bool) -> dict[str, int]:
    """Where risks are set beside the Bayes risk: contexts that sample it, and more prompts."""
    return {
        "bayes_samples": 10_000 if quick else 100_000,
        "eval_prompts": 20_000 if quick else 400_000,
    }


def decaying(dim: int) -> tuple[float, ...]:
    """Eigenvalues 1, 1/2, .., 1/dim of the tasks' covariance, scaled to 1 on average."""
    total = sum(1.0 / (i + 1) for i in range(dim))
    return tuple(dim / total / (i + 1) for i in range(dim))
