"""Bias-free layers on the Gram matrices of many small prompts at once.

The recursion of `elsa.attention.gram`, with the prompts as the last axis of every array, where a
CPU is several times as fast (`elsa.base.lanes`), and no more of it than a prediction needs. The
last channel of the query's row after L layers is, with B_t = S_t + sum_h A_th G_{t-1} V_th,

    r_{L-1} (s + sum_h A_Lh G_{L-1} v_h),    r_{L-1} = r_{L-2} B,    G_{L-1} = B^T G_{L-2} B,

with s and v_h the last columns of S_L and V_Lh and B = B_{L-1}. So the last two layers multiply
vectors only, and the matrices B_t^T G B_t of those before are all that costs m^3 a prompt.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elsa.base import lanes

# A product with A (x) V in one go takes m^4 multiplications in place of 2 heads m^3, but no
# transposition, and serves all heads.
_MOST_AT_ONCE = 8


def last_channel(
    gram: Float[Array, "batch m m"],
    row: Float[Array, "batch m"],
    query_key: Float[Array, "depth heads m m"],
    value: Float[Array, "depth heads m m"],
    skip: Float[Array, "depth m m"] | None = None,
) -> Float[Array, " batch"]:
    """The last channel of every query's row after all layers; the rows are in no Gram matrix.

    Args:
      gram, row: G = H^T H over a context's rows, and the query's row.
      query_key, value: A and V of every layer and head.
      skip: S, by which a layer multiplies its own input; I where None.
    """
    common = jnp.result_type(gram, row, query_key, value)
    channels, depth = row.shape[-1], len(query_key)
    eye = jnp.eye(channels, dtype=common)
    mixing = jnp.broadcast_to(eye, (depth, channels, channels)) if skip is None else skip
    moment, query = (jnp.moveaxis(a.astype(common), 0, -1) for a in (gram, row))
    if depth == 0:
        return query[-1]
    layers = tuple(a.astype(common) for a in (query_key, value, mixing))
    if depth > 3:
        before = tuple(a[:-2] for a in layers)
        (moment, query), _ = jax.lax.scan(_layer, (moment, query), before)
    elif depth == 3:
        (moment, query), _ = _layer((moment, query), tuple(a[0] for a in layers))
    last_value, last_skip = layers[1][-1, :, :, -1], layers[2][-1, :, -1]
    vectors = jnp.broadcast_to(last_value.T[:, :, None], (*last_value.T.shape, moment.shape[-1]))
    if depth == 1:
        read = lanes.product(moment, vectors)
    else:
        multiplier = _multiplier(moment, *(a[-2] for a in layers))
        read = lanes.product(moment, lanes.product(multiplier, vectors))
        read = lanes.product_of_transpose(multiplier, read)
        query = _times(query, multiplier)
    written = jnp.einsum("hij,jhb->ib", layers[0][-1], read) + last_skip[:, None]
    return lanes.product_of_transpose(query[:, None], written[:, None])[0, 0]


def _layer(state: tuple[Array, Array], weights: tuple[Array, ...]) -> tuple[Any, None]:
    """G <- B^T G B and row <- row B."""
    moment, query = state
    multiplier = _multiplier(moment, *weights)
    after = lanes.product_of_transpose(multiplier, lanes.product(moment, multiplier))
    return (after, _times(query, multiplier)), None


def _multiplier(
    moment: Float[Array, "m m batch"],
    query_key: Float[Array, "heads m m"],
    value: Float[Array, "heads m m"],
    skip: Float[Array, "m m"],
) -> Float[Array, "m m batch"]:
    """B = S + sum_h A_h G V_h."""
    heads, channels, _ = query_key.shape
    if channels <= _MOST_AT_ONCE * heads:
        both = jnp.einsum("hij,hkl->iljk", query_key, value).reshape(channels**2, channels**2)
        change = (both @ moment.reshape(channels**2, -1)).reshape(moment.shape)
    else:
        values = jnp.einsum("hkl,jkb->hljb", value, moment)
        change = jnp.einsum("hij,hljb->ilb", query_key, values)
    return change + skip[:, :, None]


def _times(row: Float[Array, "m batch"], matrix: Float[Array, "m m batch"]) -> Array:
    return lanes.product_of_transpose(matrix, row[:, None])[:, 0]
