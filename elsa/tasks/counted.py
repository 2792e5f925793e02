"""Prompts of one length as contexts of another: which of their rows count."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from elsa.base.precision import exact
from elsa.tasks.prompt import Prompt, last_rows, sizes_of


class CountedPrompt(NamedTuple):
    """A batch of prompts of which some rows count, for models that sum over rows.

    The rows are those of the longest context and the same for all lengths, so that models of
    several lengths share them and all that is computed of them alone.

    x: covariates of the context, [batch, n, d].
    y: their labels, [batch, n].
    counts: 1 for the rows that count and 0 for the others, [n].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    x: Float[Array, "batch n d"]
    y: Float[Array, "batch n"]
    counts: Float[Array, " n"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]


@exact
def counted_prompt(prompt: Prompt, length: int | Int[Array, ""]) -> CountedPrompt:
    """The same prompts, of whose context rows the last `length` count.

    A model that takes them predicts what it predicts of `keep_last(prompt, length)`.

    Args:
      prompt: with n rows.
      length: 0 to n; may be a tracer.

    Raises:
      TypeError, ValueError: as `keep_last`.
    """
    kept = last_rows("counted_prompt", sizes_of("counted_prompt", prompt)["n"], length)
    x, y, query_x, query_y = map(jnp.asarray, prompt)
    return CountedPrompt(x, y, kept.astype(y.dtype), query_x, query_y)
