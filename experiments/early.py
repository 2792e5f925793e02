"""Refuses a bad config before a driver is imported, which takes seconds."""

import importlib

from ml_collections import ConfigDict

from experiments.harness.experiment import RunError, message_of

CHECKS = {  # experiment -> the module where a function of its name does so, without jax
    "algorithm_match": "experiments.constructed.checking",
    "convergence": "experiments.constructed.checking",
    "depth_to_accuracy": "experiments.constructed.checking",
    "layout_ablation": "experiments.constructed.checking",
    "primitives": "experiments.constructed.checking",
    "single_step": "experiments.constructed.checking",
    "softmax_lipschitz": "experiments.softmax.checking",
    "softmax_regression": "experiments.softmax.checking",
    "softmax_shift": "experiments.softmax.checking",
    "train": "experiments.trained.checking",
}


def refuse(config: ConfigDict) -> None:
    """Refuses a config as far as nothing slow has to be imported to tell.

    Raises:
      RunError: as the driver's `check` would end the run, seconds later.
    """
    name = config.experiment
    if name not in CHECKS:
        return
    try:
        getattr(importlib.import_module(CHECKS[name]), name)(config)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise RunError(message_of(error)) from error
