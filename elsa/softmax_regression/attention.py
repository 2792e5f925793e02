"""One layer of softmax attention on the data, and the step of the weights that it stands for.

A layer moves the tokens, the rows of A: A' = A + softmax(A W A^T) A V, the softmax row by row. At
fixed weights x that is a shift of the labels (`Problem.context_shift`). The other way round, the
data shift of a step from x to x', A + A (x' - x) x^T / |x|^2, is a layer whose values are
V = (x' - x) x^T / |x|^2 and whose attention is that of each token to itself.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import Number, Numbers, Rows
from elsa.base.precision import exact
from elsa.softmax_regression import inputs
from elsa.softmax_regression.shifts import length


@exact
def softmax_attention(
    a: Real[ArrayLike, "n d"] | Rows,
    weight: Real[ArrayLike, "d d"] | Rows,
    value: Real[ArrayLike, "d d"] | Rows,
) -> Float[Array, "n d"]:
    """A + softmax(A W A^T) A V, rows being tokens and the softmax that of each row.

    Attention to n tokens averages, so that ||A' - A|| <= sqrt(n) ||A V||.

    Args:
      a: tokens, [n, d].
      weight: W, queries and keys in one, [d, d].
      value: V, values and output in one, [d, d].

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, or logits
        A W A^T that overflow; under jit these give NaN instead.
    """
    tokens, scores, values = inputs.arrays(
        "softmax_attention", a=(a, "n d"), weight=(weight, "d d"), value=(value, "d d")
    )
    logits = tokens @ scores @ tokens.T
    if checks.is_concrete(logits) and not jnp.isfinite(logits).all():
        raise ValueError(
            f"softmax_attention: the logits of a and weight overflow {logits.dtype}: scale one down"
        )
    return tokens + jax.nn.softmax(logits, axis=1) @ tokens @ values


def step_as_attention(
    x: Real[ArrayLike, " d"] | Numbers, x_next: Real[ArrayLike, " d"] | Numbers, sharpness: Number
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """Weights (W, V) of a layer that changes the data as going from x to x_next changes the logits.

        W = beta I,  V = (x' - x) x^T / |x|^2

    The layer's data give x the logits A x + F A (x' - x), F the attention, and F = I gives A x'.
    Row i of F is e_i up to 2 (n - 1) exp(-beta m_i) in the sum of absolute values, where
    m_i = |a_i|^2 - max_j <a_i, a_j> over the other tokens; for different tokens of one length every
    m_i is positive, and the layer is the step as beta grows.

    Args:
      x, x_next: weights before and after, [d]; x not 0, else NaN under jit.
      sharpness: beta, above 0.

    Raises:
      ValueError: for shapes that do not fit, entries that are not finite, x = 0, or a sharpness
        that is not finite and above 0.
    """
    where = "step_as_attention"
    before, after = inputs.arrays(where, x=(x, "d"), x_next=(x_next, "d"))
    checks.positive(where, sharpness=sharpness)
    if checks.is_concrete(before) and not bool(jnp.any(before)):
        raise ValueError(
            f"{where}: x must not be 0, got a vector of zeros: at x = 0 no data gives other logits"
        )
    size = length(before)
    value = jnp.outer((after - before) / size, before / size)
    return jnp.eye(before.shape[0], dtype=before.dtype) * sharpness, value
