"""Which models of a run diverged, in which step, and how that is said."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elsa.training.errors import TrainingError
from elsa.training.state import TrainState

if TYPE_CHECKING:
    from elsa.training.trained import Trained

_NAMED = 8  # points that a line names


class Diverged(NamedTuple):
    """A model whose loss, gradient or next weights were not finite; it has those of before.

    seed, point: which model.
    step: the step that failed, counted from 1, or the last of those left out; None in a run that an
      earlier version has trained.
    """

    seed: int
    point: int
    step: int | None


class DivergedError(TrainingError):
    """Every model of a run diverged.

    Attributes:
      trained: the run, whose models have their last finite weights.
    """

    def __init__(self, message: str, trained: "Trained"):
        super().__init__(message)
        self.trained = trained


def found(state: TrainState) -> list[Diverged]:
    """The models that diverged, point by point."""
    lost, stale = np.asarray(state.diverged), np.asarray(state.stale)
    return [
        Diverged(
            int(seed), int(point), int(-stale[seed, point]) if stale[seed, point] < 0 else None
        )
        for point, seed in np.argwhere(lost.T)
    ]


def said(models: Sequence[Diverged], names: Sequence[Mapping[str, Any]]) -> str:
    """Every point of which models diverged, with seeds and steps.

    Args:
      models: at least one.
      names: axis -> value, for each point of the run.
    """
    points = list(dict.fromkeys(model.point for model in models))
    parts = []
    for point in points[:_NAMED]:
        own = ", ".join(
            f"seed {model.seed}" + ("" if model.step is None else f" in step {model.step:,}")
            for model in models
            if model.point == point
        )
        parts.append(f"{point_name(names[point])}: {own}" if names[point] else own)
    more = len(points) - _NAMED
    return "; ".join([*parts, *([f"and {more} more points"] if more > 0 else [])])


def point_name(point: Mapping[str, Any]) -> str:
    """A point of a sweep in a line: `noise_var=0.1,learning_rate=0.01`."""
    return ",".join(f"{axis}={_short(value)}" for axis, value in point.items())


def rates(rate: float, names: Sequence[Mapping[str, Any]]) -> str:
    """The learning rates of a run: its own, or from the lowest to the highest of its points."""
    own = sorted({float(name.get("learning_rate", rate)) for name in names})
    return f"it was {own[0]}" if len(own) == 1 else f"they were {own[0]} to {own[-1]}"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else f"{np.size(value)} numbers"
