"""How a point's prompts are drawn: row by row, or as Gram matrices at once."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array

from elsa import tasks
from elsa.base.precision import exact
from elsa.tasks import GramPrompt, Prompt
from elsa.training import kinds
from elsa.training.sweep import Point

Sampler = Callable[[Point, Array, int], Prompt | GramPrompt]

# Costs in normal draws (about 12 ns on a CPU core), fitted to ten sweeps timed with both samplers.
_CHI_SQUARE = 10
_ROW_ENTRY = 0.3  # an entry of the rows made and masked for one point
_MULTIPLY_ADD = 0.01  # in the product of rows or triangles


def choose(asked: str, model: Any, point: Point, num_points: int) -> str:
    """ "rows" or "gram", the cheaper one that is possible for "auto".

    Rows are n (d + 1) normals, drawn once for all points; every point makes its own rows of them
    and multiplies these. A Gram matrix is (d + 1)(d + 2) / 2 normals and d + 1 chi-squares, for
    each point where context lengths differ, and a product of triangles.

    Raises:
      ValueError: for "gram" where the model needs rows or the task cannot draw a Gram matrix.
    """
    task = point.task
    no_gram = f"{type(task).__name__} has no Gram matrix to draw"
    lacks = (
        no_gram
        if kinds.of(task) is not Prompt
        else f"{type(model).__name__} weighs the rows one by one"
        if not getattr(model, "takes_gram", False)
        else no_gram
        if not getattr(task, "has_gram", False)
        else ""
    )
    if lacks:
        if asked == "gram":
            raise ValueError(f"train: sampler must be 'rows' or 'auto', got 'gram', but {lacks}")
        return "rows"
    if asked != "auto":
        return asked
    channels = task.dim + 1
    draws = num_points if point.length is not None else 1
    drawn = channels * ((channels + 1) / 2 + _CHI_SQUARE)
    by_gram = draws * (drawn + _MULTIPLY_ADD * channels**3 / 3)
    entries = task.context_length * channels
    by_rows = entries * (1 + num_points * (_ROW_ENTRY + _MULTIPLY_ADD * channels))
    return "gram" if by_gram < by_rows else "rows"


@exact
def sample_rows(point: Point, key: Array, batch: int) -> Prompt:
    """Prompts drawn row by row; rows beyond the point's length are zero."""
    prompt = point.task.sample(key, batch)
    return prompt if point.length is None else tasks.keep_last(prompt, point.length)


@exact
def sample_gram(point: Point, key: Array, batch: int) -> GramPrompt:
    """Gram matrices drawn at once, at a cost that does not grow with the context."""
    prompt: GramPrompt = point.task.sample_gram(key, batch, point.length)
    return prompt


SAMPLE: dict[str, Sampler] = {"rows": sample_rows, "gram": sample_gram}
