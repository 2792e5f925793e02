"""A batch of in-context problems."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Prompt(NamedTuple):
    """Context and query of a batch of tasks.

    x: covariates of the context, [batch, n, d].
    y: their labels, [batch, n].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    x: Float[Array, "batch n d"]
    y: Float[Array, "batch n"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]
