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
    Most are of the covariates alone, which prompts share that differ in their labels only.

    pairs: x_ij x_ik of every row, for j <= k in the order of `numpy.triu_indices`,
      [batch, d (d + 1) / 2, n].
    label_pairs: x_ij y_i of every row, and last y_i^2, [batch, d + 1, n].
    counts: 1 for the rows that count and 0 for the others, [n].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    pairs: Float[Array, "batch pairs n"]
    label_pairs: Float[Array, "batch d+1 n"]
    counts: Float[Array, " n"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Which entries j <= k of a row [x, y] they are products of, `pairs` first."""
        dim = self.query_x.shape[1]
        first, second = np.triu_indices(dim)
        return np.append(first, np.arange(dim + 1)), np.append(second, np.full(dim + 1, dim))

    def together(self) -> Float[Array, "batch all n"]:
        """All products in the order of `numpy.triu_indices(d + 1)`, as before arithmetic 6."""
        place = {pair: at for at, pair in enumerate(zip(*self.entries(), strict=True))}
        in_order = np.triu_indices(self.query_x.shape[1] + 1)
        order = np.array([place[pair] for pair in zip(*in_order, strict=True)])
        return jnp.concatenate([self.pairs, self.label_pairs], axis=1)[:, order]


def num_pairs(dim: int) -> int:
    """d (d + 1) / 2, the products of a row's covariates."""
    return dim * (dim + 1) // 2


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
    x_BxDxN, y_Bx1xN = jnp.swapaxes(jnp.asarray(prompt.x), 1, 2), jnp.asarray(prompt.y)[:, None]
    first, second = np.triu_indices(sizes["d"])
    pairs_BxPxN = x_BxDxN[:, first] * x_BxDxN[:, second]
    label_pairs_BxMxN = jnp.concatenate([x_BxDxN * y_Bx1xN, y_Bx1xN * y_Bx1xN], axis=1)
    query = jnp.asarray(prompt.query_x), jnp.asarray(prompt.query_y)
    return PairPrompt(pairs_BxPxN, label_pairs_BxMxN, kept.astype(pairs_BxPxN.dtype), *query)
