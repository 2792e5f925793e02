"""How models are trained, checked without jax: a bad config is refused before it is imported."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from elsa.base import values as checks
from elsa.base.numbers import number
from elsa.base.values import PRECISIONS

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
    matmul_precision: str = PRECISIONS[0]
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
            number(where, **{name: getattr(self, name)})
        checks.positive(where, learning_rate=self.learning_rate, huber_delta=self.huber_delta)
        checks.finite(where, **{name: getattr(self, name) for name in numbers})
        checks.at_least(where, **{name: (getattr(self, name), 0.0) for name in numbers})
        checks.boolean(where, share_data=self.share_data, optimise=self.optimise)
        checks.one_of(where, "decay", self.decay, DECAYS)
        checks.one_of(where, "sampler", self.sampler, SAMPLERS)
        checks.one_of(where, "loss", self.loss, LOSSES)
        checks.one_of(where, "tracker", self.tracker, TRACKERS)
        checks.one_of(where, "matmul_precision", self.matmul_precision, PRECISIONS)
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


def of(train: Mapping[str, Any]) -> TrainSettings:
    """The settings of a group `train`.

    Raises:
      KeyError: for an unknown key, with the nearest known ones, and where num_steps is missing.
      TypeError, ValueError: for a value of the wrong type, or out of range.
    """
    known = [field.name for field in dataclasses.fields(TrainSettings)]
    checks.known_names("train", "key", train, known)
    if "num_steps" not in train:
        raise KeyError(f"train: missing 'num_steps', it has {list(train)}")
    return TrainSettings(**train)


def refuse_models(seed: Any, num_seeds: Any, dtype: Any) -> None:
    """Refuses what says how many models a run has, from where, and in which numbers.

    Raises:
      TypeError, ValueError: naming the one, with what it must be.
    """
    checks.seed("training", seed)
    checks.size("training", num_seeds=(num_seeds, 1))
    checks.one_of("training", "dtype", dtype, ("float32", "float64"))
