"""The settings of a training run, checked once when they are made; `train` in `elsa.base`."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, Self

from elsa.base import checks, train_settings
from elsa.base.settings import Settings
from elsa.base.train_settings import TrainSettings as TrainSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """One training run: a task, a model, the axes of a sweep, seeds.

    Unknown arguments of a task or model are refused where a run is made of them, by `validate` and
    `fit`.

    Attributes:
      task: "name" and fields, as `tasks.build` takes them.
      model: "name" and arguments, as `models.build` takes them.
      sweep: axis -> its values; the points are their product, the last axis fastest. An axis is
        "learning_rate", "context_length", "rank" (of the model), or a field of the task.
      train: see TrainSettings.
      seed: root of all randomness, below 2**32.
      num_seeds: models for each point, with initial weights of their own.
      dtype: of weights, prompts and arithmetic.
    """

    task: Mapping[str, Any]
    model: Mapping[str, Any]
    train: TrainSettings
    sweep: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    seed: int = 0
    num_seeds: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        train_settings.refuse_models(self.seed, self.num_seeds, self.dtype)
        checks.mapping("training", "a mapping with a name", task=self.task, model=self.model)
        checks.instance("training", TrainSettings, "a TrainSettings", train=self.train)
        checks.mapping("training", "a mapping of axes to values", sweep=self.sweep)
        for axis, values in self.sweep.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(
                    f"sweep: {axis} must be a tuple of at least one value, got {values!r}"
                )

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        """The settings in nested mappings: a ConfigDict, or the contents of config.json.

        Raises:
          KeyError: for an unknown key, with the nearest known ones; for a missing task, model or
            train, and where this has no num_steps.
          TypeError: for a value of the wrong type.
          ValueError: for a value out of range.
        """
        plain = _plain(config)
        checks.mapping("training", "a mapping", config=plain)
        checks.known_names("training", "key", plain, [f.name for f in dataclasses.fields(cls)])
        missing = [key for key in ("task", "model", "train") if key not in plain]
        if missing:
            raise KeyError(f"training: the config must have {missing[0]!r}, it has {list(plain)}")
        for key in ("task", "model", "train", "sweep"):
            if not isinstance(plain.get(key, {}), dict):
                raise TypeError(f"training: {key} must map names to values, got {plain[key]!r}")
        return cls(**{**plain, "train": train_settings.of(plain["train"])})

    def to_dict(self) -> dict[str, Any]:
        """Plain nested values, every default written out."""
        fields: dict[str, Any] = _plain(dataclasses.asdict(self))
        return fields

    @property
    def points(self) -> list[dict[str, Any]]:
        """One dict of axis -> value for each point of the sweep."""
        return [
            dict(zip(self.sweep, values, strict=True))
            for values in itertools.product(*self.sweep.values())
        ]


def _plain(value: Any) -> Any:
    """Mappings as dicts, lists as tuples."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(inner) for inner in value)
    return value
