"""Prompts as the products of their rows' entries, for models that weigh rows."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from elsa.base.precision import exact
from elsa.tasks.prompt import Prompt, last_rows, sizes_of


class PairPrompt(NamedTuple):
    """A batch of prompts as what is quadratic in a row, to be summed with a weight for each row.

    A sum of (h_i Wk) * (h_i Wv) over weighted rows is one of these products and two weights. They
    are of the prompts alone: many models that see the same prompts, also of several context
    lengths, share them, and their sums are one product of matrices with a column for each model.

    pairs: h_ij h_ik of every row h_i = [x_i, y_i], for j <= k in the order of `numpy.triu_indices`,
      [batch, (d + 1)(d + 2) / 2, n].
    counts: 1 for the rows that count and 0 for the others, [n].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    pairs: Float[Array, "batch pairs n"]
    counts: Float[Array, " n"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]


def num_pairs(dim: int) -> int:
    """(d + 1)(d + 2) / 2, the products of the entries of a row [x, y]."""
    return (dim + 1) * (dim + 2) // 2


@exact
def pair_prompt(prompt: Prompt, length: int | Int[Array, ""] | None = None) -> PairPrompt:
    """The products of the entries of all rows, of which the last `length` count.

    Args:
      prompt: with n rows.
      length: 0 to n; may be a tracer. All where None.

    Raises:
      TypeError, ValueError: as `keep_last`.
    """
    sizes = sizes_of("pair_prompt", prompt)
    kept = last_rows("pair_prompt", sizes["n"], sizes["n"] if length is None else length)
    entries_BxMxN = jnp.concatenate(
        [jnp.swapaxes(jnp.asarray(prompt.x), 1, 2), jnp.asarray(prompt.y)[:, None, :]], axis=1
    )
    first, second = np.triu_indices(sizes["d"] + 1)
    pairs_BxPxN = entries_BxMxN[:, first] * entries_BxMxN[:, second]
    query = jnp.asarray(prompt.query_x), jnp.asarray(prompt.query_y)
    return PairPrompt(pairs_BxPxN, kept.astype(pairs_BxPxN.dtype), *query)
