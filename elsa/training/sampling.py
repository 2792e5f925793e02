"""How a point's prompts are drawn: by rows, as Gram matrices at once, or as products of entries."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from elsa import tasks
from elsa.base.precision import exact
from elsa.tasks import CountedPrompt, GramPrompt, PairPrompt, Prompt
from elsa.tasks.pairs import num_pairs
from elsa.training import kinds
from elsa.training.grid import Grid
from elsa.training.settings import RunSettings
from elsa.training.sweep import Point

Sampler = Callable[[Point, Array, int], Prompt | GramPrompt | CountedPrompt | PairPrompt]

# Costs in normal draws (about 12 ns on a CPU core), fitted to twenty sweeps timed with both.
_CHI_SQUARE = 10
# of models that reduce rows to a Gram matrix
_ROW_ENTRY = 0.3  # an entry of the rows made and masked for one point
_MULTIPLY_ADD = 0.01  # in the product of rows or triangles
# of models that sum over rows as they are
_ROW_MADE, _ROW_READ = 0.2, 0.1  # an entry of the rows, for one task, by one model
_GRAM_MADE, _GRAM_READ = 0.9, 0.07  # an entry of a Gram matrix

# Pairs take as long to form as the sums of one model over rows, or a little longer, and their own
# sums a fifth of that: measured forward and backward at d = 20, n = 40 and 60, batch 256.
_MODELS_FOR_PAIRS = 2
_MOST_PAIRS = 1 << 26  # numbers held at once: 256 MB in float32


class Crowd(NamedTuple):
    """How many models see what is drawn.

    grid: the points of the sweep.
    draws: of prompts for each task: one for all seeds, or one for each.
    models: with the seeds, of which each may count as many of the last rows as it will.
    batch: prompts of a draw.
    """

    grid: Grid
    draws: int
    models: int
    batch: int

    @classmethod
    def of(cls, grid: Grid, settings: RunSettings, share_data: bool) -> "Crowd":
        """Of a sweep.

        Args:
          grid: its points.
          settings: of the run, for its seeds and the prompts of a batch.
          share_data: whether all seeds see the same prompts.
        """
        seeds = settings.num_seeds
        draws = 1 if share_data else seeds
        return cls(grid, draws, math.prod(grid.sizes) * seeds, settings.train.batch)

    def draws_of_covariates(self) -> int:
        """How many contexts' covariates are drawn for each prompt of a batch."""

        def covariates(point: Point) -> Any:
            drawn = point.task.sample(jax.random.key(0), 1)
            return drawn.x if isinstance(drawn, Prompt) else drawn

        return self.draws * self.grid.differ(covariates)


def choose(asked: str, model: Any, point: Point, crowd: Crowd) -> str:
    """ "rows", "counted", "gram" or "pairs", the cheapest one that is possible for "auto".

    Rows are n (d + 1) normals, drawn once for all points; every point makes its own rows of them
    and multiplies these. Where lengths differ, a model that counts rows reads those of its task,
    which are made once for all lengths: "counted", for "rows" as well. A Gram matrix is
    (d + 1)(d + 2) / 2 normals and d + 1 chi-squares, for each length, and a product of triangles
    for each point. Pairs are the rows' and (d + 2) / 2 times as many products, once for all models
    that see the same covariates.

    Raises:
      ValueError: for "gram" where the model needs rows or the task cannot draw a Gram matrix; for
        "pairs" where the model does not take them.
    """
    task, rows = point.task, kinds.of(point.task) is Prompt
    name = type(model).__name__
    no_gram = f"{type(task).__name__} has no Gram matrix to draw"
    lacks = {
        "gram": no_gram
        if not rows
        else f"{name} weighs the rows one by one"
        if not getattr(model, "takes_gram", False)
        else no_gram
        if not getattr(task, "has_gram", False)
        else "",
        "pairs": ""
        if rows and getattr(model, "takes_pairs", False)
        else f"{name} takes no products of a row's entries",
    }
    if lacks.get(asked):
        raise ValueError(
            f"train: sampler must be 'rows' or 'auto', got {asked!r}, but {lacks[asked]}"
        )
    sums = rows and bool(getattr(model, "takes_counts", False))
    by_rows = "counted" if sums and point.length is not None else "rows"
    if asked != "auto":
        return by_rows if asked == "rows" else asked
    if not lacks["pairs"]:
        drawn = crowd.draws_of_covariates()
        held = drawn * crowd.batch * num_pairs(task.dim) * task.context_length
        share = crowd.models // drawn
        return "pairs" if share >= _MODELS_FOR_PAIRS and held <= _MOST_PAIRS else "rows"
    if lacks["gram"]:
        return by_rows
    cost = _of_sums(task, crowd) if sums else _of_gram_models(task, crowd)
    return "gram" if cost["gram"] < cost["rows"] else by_rows


def _of_sums(task: Any, crowd: Crowd) -> dict[str, float]:
    """What a prompt costs models that sum over rows, which a task has once for all lengths."""
    channels, entries = task.dim + 1, task.context_length * (task.dim + 1)
    points, tasks = math.prod(crowd.grid.sizes), crowd.grid.differ(lambda point: point.task)
    lengths = crowd.grid.differ(lambda point: point.length)
    contexts = crowd.grid.differ(lambda point: (point.task, point.length))
    made = lengths * _drawn(channels) + contexts * _GRAM_MADE * channels**2
    return {
        "rows": entries * (1 + tasks * _ROW_MADE + points * _ROW_READ),
        "gram": made + points * _GRAM_READ * channels**2,
    }


def _of_gram_models(task: Any, crowd: Crowd) -> dict[str, float]:
    """What a prompt costs models that reduce rows to a Gram matrix."""
    channels, entries = task.dim + 1, task.context_length * (task.dim + 1)
    points = math.prod(crowd.grid.sizes)
    multiplied = points * _MULTIPLY_ADD * channels**3 / 3
    return {
        "rows": entries * (1 + points * (_ROW_ENTRY + _MULTIPLY_ADD * channels)),
        "gram": crowd.grid.differ(lambda point: point.length) * _drawn(channels) + multiplied,
    }


def _drawn(channels: int) -> float:
    """A triangle: normals below the diagonal, chi-squares on it."""
    return channels * ((channels + 1) / 2 + _CHI_SQUARE)


@exact
def sample_rows(point: Point, key: Array, batch: int) -> Prompt:
    """Prompts drawn row by row; rows beyond the point's length are zero."""
    prompt = point.task.sample(key, batch)
    return prompt if point.length is None else tasks.keep_last(prompt, point.length)


@exact
def sample_counted(point: Point, key: Array, batch: int) -> CountedPrompt:
    """Prompts drawn row by row, the same ones for every length, and which of the rows count."""
    prompt: CountedPrompt = tasks.counted_prompt(point.task.sample(key, batch), point.length)
    return prompt


@exact
def sample_gram(point: Point, key: Array, batch: int) -> GramPrompt:
    """Gram matrices drawn at once, at a cost that does not grow with the context."""
    prompt: GramPrompt = point.task.sample_gram(key, batch, point.length)
    return prompt


@exact
def sample_pairs(point: Point, key: Array, batch: int) -> PairPrompt:
    """Prompts drawn row by row, as products of their rows' entries: the same ones for every length,
    so that only their counts differ between points that differ by it."""
    prompt: PairPrompt = tasks.pair_prompt(point.task.sample(key, batch), point.length)
    return prompt


SAMPLE: dict[str, Sampler] = {
    "rows": sample_rows,
    "counted": sample_counted,
    "gram": sample_gram,
    "pairs": sample_pairs,
}
