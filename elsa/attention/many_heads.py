"""The sum of all heads of a dense layer, in as few and as large products as its sizes allow.

    sum_h Q_h (K_h^T V_h),    Q_h = H Wq_h + Bq_h,  K_h = H Wk_h + Bk_h,  V_h = H Wv_h + Bv_h

Where keys are narrower than the prompt, K_h^T V_h = (K_h^T H) Wv_h + K_h^T Bv_h takes n p m
multiplications for each of its two products with n rows, in place of n m^2 for V_h and n p m; and
then queries, keys, (K_h^T H) and the sum over heads are one product each for all of them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Real

from elsa.base import arithmetic
from elsa.base.precision import products_at

# Multiplications with the rows below which nothing is gained: products of that size end in 0.1 ms
_LEAST_WORK = 1 << 22


def serves(rows: int, channels: int, key_size: int, num_heads: int, *, biased: bool) -> bool:
    """Whether `sum_of_heads` takes fewer multiplications than each head by itself, of a layer that
    is large enough to be bound by them.

    Values first takes n m^2 + 2 n p m a head after its queries and keys, or n m^2 + n^2 (p + m) by
    the scores. Keys first takes 2 n p m + p m^2, and n p m where there are biases of values. A run
    that was begun when there was but one order stays with it (`base.arithmetic`).
    """
    n, m, p = rows, channels, key_size
    values_first = n * m**2 + min(2 * n * p * m, n**2 * (p + m))
    keys_first = (3 if biased else 2) * n * p * m + p * m**2
    large = num_heads * n * p * m >= _LEAST_WORK
    return large and keys_first < values_first and arithmetic.version() >= 2


def sum_of_heads(
    h: Real[Array, "n m"],
    wq: Real[Array, "heads m p"],
    wk: Real[Array, "heads m p"],
    wv: Real[Array, "heads m m"],
    bq: Real[Array, "heads n p"] | None = None,
    bk: Real[Array, "heads n p"] | None = None,
    bv: Real[Array, "heads n m"] | None = None,
    *,
    precision: str,
) -> Real[Array, "n m"]:
    """The sum above, without the skip; LSA where there are no biases.

    Raises:
      ValueError: for an unknown precision.
    """
    heads, m, p = wq.shape
    with products_at("sum_of_heads", precision):
        queries, keys = h @ _side_by_side(wq), h @ _side_by_side(wk)
        if bq is not None and bk is not None:
            queries, keys = queries + _side_by_side(bq), keys + _side_by_side(bk)
        read = (keys.T @ h).reshape(heads, p, m) @ wv
        if bv is not None:
            read = read + jnp.einsum("nhp,hnm->hpm", keys.reshape(-1, heads, p), bv)
        return queries @ read.reshape(heads * p, m)


def _side_by_side(arrays: Real[Array, "heads rows p"]) -> Real[Array, "rows width"]:
    heads, rows, p = arrays.shape
    return jnp.swapaxes(arrays, 0, 1).reshape(rows, heads * p)
