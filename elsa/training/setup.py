"""A run's program from its settings, without the arrays that only training has."""

import numpy as np

from elsa import models
from elsa.base.settings import Settings
from elsa.training.program import Program
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep
from elsa.training.trackers import require


def validate(config: Settings) -> RunSettings:
    """The settings of a run that could be trained: its tasks and its model are built as a check.

    Raises:
      KeyError, TypeError, ValueError: for a bad config, a tracker's missing package among them,
        before anything is computed.
    """
    settings = RunSettings.from_config(config)
    require("training", settings.train.tracker)
    bare_program(settings)
    return settings


def bare_program(settings: RunSettings) -> Program:
    """The program of a run whose model has zeros for the arrays that it takes at its start."""
    sweep = make_sweep(settings)
    sizes = {"d": sweep.points.task.dim, "n": sweep.points.task.context_length}
    arrays = getattr(models.MODELS.get(settings.model.get("name", "")), "arrays", {})
    given = {
        name: np.zeros([sizes[size] for size in shape.split()]) for name, shape in arrays.items()
    }
    return Program(settings, sweep, **given)
