"""The settings of a training run, checked once when they are made."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, Self

from elsa.base import checks
from elsa.base.precision import EXACT, known
from elsa.base.settings import Settings

DECAYS = ("cosine", "constant")
SAMPLERS = ("auto", "rows", "gram", "pairs")
LOSSES = ("squared", "huber")
TRACKERS = ("tensorboard", "wandb", "mlflow", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How the models are trained; the same for every model of a sweep, except for its axes.

    Attributes:
      num_steps: updates; a multiple of evaluate_every. 0 leaves the models as they were built, to
        be measured.
      batch: prompts of one step.
      learning_rate: Adam's, at its highest.
      warmup: steps over which it rises from 0.
      decay: "cosine" to 0 at num_steps, or "constant".
      average: the share of the steps, at the end, over which the trained models' weights are
        averaged (Polyak and Juditsky 1992), which takes most of the sampling noise out of them; 0
        for the weights of the last step.
      max_gradient_norm: gradients above it are scaled down to it; 0 leaves them.
      loss: minimised in training, of the residual r of a prompt, summed over the entries of a
        matrix: "squared", r^2, or "huber", r^2 up to |r| = huber_delta and the tangent
        2 huber_delta |r| - huber_delta^2 beyond, which single prompts of a deep model do not
        dominate. Losses that are written are squared errors always.
      huber_delta: where the Huber loss becomes a line.
      adam_b2: the decay of Adam's mean of squared gradients.
      skip_nonfinite: a step whose loss, gradient or next parameters are not finite is left out,
        and a model stops as diverged after more than so many of them in a row; 0 stops it at the
        first.
      evaluate_every: steps between two lines of metrics.jsonl.
      patience: a model stops once its loss has not fallen by `min_improvement` (a fraction) for
        this many evaluations; 0 trains to the end.
      sampler: "rows" draws the context row by row, "gram" its Gram matrix, "pairs" forms the
        products of each row's entries once for all models that see it, "auto" takes the cheapest.
      share_data: whether all seeds see the same prompts; else every seed has prompts of its own,
        shared by the points of the sweep.
      checkpoint_seconds: a checkpoint is written when this long has passed since the last, at the
        next evaluation or, once 10 s have passed, before it.
      keep: checkpoints that are kept.
      tracker: where losses are shown while a run goes on: "tensorboard", "wandb", "mlflow" or
        "none". As `keep` and `checkpoint_seconds`, it may change where a run goes on.
      optimise: False compiles in about half the time to slower programs, for short runs.
      matmul_precision: of the models' matrix products, in training and wherever the models are run
        after it: "highest"; "high" or "default" for speed on an accelerator, which then rounds
        their factors. Prompts are drawn, and weights read, in full precision always.
    """

    num_steps: int
    batch: int = 256
    learning_rate: float = 1e-2
    warmup: int = 0
    decay: str = "cosine"
    average: float = 0.0
    max_gradient_norm: float = 0.0
    evaluate_every: int = 100
    patience: int = 0
    min_improvement: float = 1e-3
    sampler: str = "auto"
    share_data: bool = False
    checkpoint_seconds: float = 30.0
    keep: int = 3
    optimise: bool = True
    matmul_precision: str = EXACT
    loss: str = "squared"
    huber_delta: float = 3.0
    adam_b2: float = 0.999
    skip_nonfinite: int = 0
    tracker: str = "tensorboard"

    def __post_init__(self) -> None:
        where = "train"
        checks.size(
            where,
            num_steps=(self.num_steps, 0),
            batch=(self.batch, 1),
            warmup=(self.warmup, 0),
            evaluate_every=(self.evaluate_every, 1),
            patience=(self.patience, 0),
            keep=(self.keep, 1),
            skip_nonfinite=(self.skip_nonfinite, 0),
        )
        numbers = (
            "average",
            "max_gradient_norm",
            "min_improvement",
            "checkpoint_seconds",
            "adam_b2",
        )
        for name in ("learning_rate", "huber_delta", *numbers):
            checks.shapes(where, **{name: (getattr(self, name), "")})
        checks.positive(where, learning_rate=self.learning_rate, huber_delta=self.huber_delta)
        checks.finite(where, **{name: getattr(self, name) for name in numbers})
        checks.at_least(where, **{name: (getattr(self, name), 0.0) for name in numbers})
        checks.boolean(where, share_data=self.share_data, optimise=self.optimise)
        checks.one_of(where, "decay", self.decay, DECAYS)
        checks.one_of(where, "sampler", self.sampler, SAMPLERS)
        checks.one_of(where, "loss", self.loss, LOSSES)
        checks.one_of(where, "tracker", self.tracker, TRACKERS)
        known(where, self.matmul_precision, name="matmul_precision")
        if self.num_steps % self.evaluate_every:
            raise ValueError(
                f"{where}: num_steps must be a multiple of evaluate_every={self.evaluate_every}, "
                f"got {self.num_steps}"
            )
        if self.average > 1.0:
            raise ValueError(f"{where}: average must be at most 1.0, got {self.average!r}")
        if self.adam_b2 >= 1.0:
            raise ValueError(f"{where}: adam_b2 must be below 1, got {self.adam_b2!r}")
        if 0 < self.num_steps < self.warmup:  # a run of no steps has no rate to raise
            raise ValueError(
                f"{where}: warmup must be at most num_steps={self.num_steps}, got {self.warmup}"
            )


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
        checks.integer("training", seed=(self.seed, 0))
        checks.size("training", num_seeds=(self.num_seeds, 1))
        checks.mapping("training", "a mapping with a name", task=self.task, model=self.model)
        checks.instance("training", TrainSettings, "a TrainSettings", train=self.train)
        checks.mapping("training", "a mapping of axes to values", sweep=self.sweep)
        if self.seed >= 2**32:  # jax would keep the lower 32 bits, silently
            raise ValueError(f"training: seed must be below 2**32, got {self.seed}")
        checks.one_of("training", "dtype", self.dtype, ("float32", "float64"))
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
        known = [field.name for field in dataclasses.fields(TrainSettings)]
        checks.known_names("train", "key", plain["train"], known)
        if "num_steps" not in plain["train"]:
            raise KeyError(f"train: missing 'num_steps', it has {list(plain['train'])}")
        return cls(**{**plain, "train": TrainSettings(**plain["train"])})

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
