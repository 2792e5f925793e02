"""From a model's output to its prediction: the one place of sign conventions."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base.arrays import Numbers, Rows

LABEL = -1  # the label is a token's last channel


def from_attention(output: Real[ArrayLike, "*batch m"] | Numbers | Rows) -> Real[Array, "*batch"]:
    """The label channel of the query's row in an attention output, without the skip.

    The query's own label channel enters as 0 (Li, Rawat, Oymak, arXiv:2407.10005).
    """
    return jnp.asarray(output)[..., LABEL]


def from_residual_stream(
    row: Real[ArrayLike, "*batch m"] | Numbers | Rows,
) -> Real[Array, "*batch"]:
    """Minus the label channel of the query's row after all layers.

    Layers turn every label y_i into the residual y_i - <w, x_i> of the weights w that they have
    reached, the query's included: its label enters as 0 and leaves as -<w, x>
    (Ahn et al., arXiv:2306.00297, eq. 5).
    """
    return -jnp.asarray(row)[..., LABEL]


def from_block(row: Real[ArrayLike, "*batch m"] | Numbers | Rows) -> Real[Array, "*batch"]:
    """The label channel of the query's row after the last block, skip and feed-forward included.

    The query's label enters as 0, and what the feed-forward layer reads off its covariates is the
    prediction before any example (Zhang, Wu, Bartlett, arXiv:2402.14951).
    """
    return jnp.asarray(row)[..., LABEL]
