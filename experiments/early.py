"""Refuses a bad config before a driver is imported, which takes seconds."""

import importlib

from ml_collections import ConfigDict

from experiments.harness import seeds
from experiments.harness.experiment import RunError, message_of

_CONSTRUCTED = (
    *("algorithm_match", "convergence", "depth_to_accuracy", "layout_ablation", "primitives"),
    "single_step",
)
_SOFTMAX = ("softmax_lipschitz", "softmax_regression", "softmax_shift")
CHECKS = {  # experiment -> the function that does so, without jax
    **{name: f"experiments.constructed.checking.{name}" for name in _CONSTRUCTED},
    **{name: f"experiments.softmax.checking.{name}" for name in _SOFTMAX},
    **{name: f"experiments.trained.checking.{name}" for name in ("gd_beta_flow", "train")},
}
_OF_RUNS = "experiments.trained.checking.runs"  # where a config has runs that train


def refuse(config: ConfigDict) -> None:
    """Refuses a config as far as nothing slow has to be imported to tell.

    Raises:
      RunError: as the driver's `check` would end the run, seconds later.
    """
    check = CHECKS.get(config.experiment, _OF_RUNS if {"runs", "train"} <= {*config} else None)
    try:
        if check is not None:
            module, _, function = check.rpartition(".")
            getattr(importlib.import_module(module), function)(config)
        seeds.refuse(config)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise RunError(message_of(error)) from error
