"""From a model's output to its prediction: the one place of sign conventions."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Numbers, Rows

LABEL = -1  # the label is a token's last channel


def from_attention(output: Real[ArrayLike, "*batch m"] | Numbers | Rows) -> Real[Array, "*batch"]:
    """The label channel of the query's row in an attention output, without the skip.

    The query's own label channel enters as 0 (Li, Rawat, Oymak, arXiv:2407.10005).
    """
    return _labels("from_attention", output=output)


def from_residual_stream(
    row: Real[ArrayLike, "*batch m"] | Numbers | Rows,
) -> Real[Array, "*batch"]:
    """Minus the label channel of the query's row after all layers.

    Layers turn every label y_i into the residual y_i - <w, x_i> of the weights w that they have
    reached, the query's included: its label enters as 0 and leaves as -<w, x>
    (Ahn et al., arXiv:2306.00297, eq. 5).
    """
    return -_labels("from_residual_stream", row=row)


def from_block(row: Real[ArrayLike, "*batch m"] | Numbers | Rows) -> Real[Array, "*batch"]:
    """The label channel of the query's row after the last block, skip and feed-forward included.

    The query's label enters as 0, and what the feed-forward layer reads off its covariates is the
    prediction before any example (Zhang, Wu, Bartlett, arXiv:2402.14951).
    """
    return _labels("from_block", row=row)


def _labels(where: str, **named: AnyShape) -> Array:
    """The label channel of one array, given by its name."""
    checks.real(where, **named)
    [(name, array)] = named.items()
    if np.ndim(array) == 0 or np.shape(array)[-1] == 0:
        raise ValueError(
            f"{where}: {name} must have channels along its last axis, got shape {np.shape(array)}"
        )
    return jnp.asarray(array)[..., LABEL]
