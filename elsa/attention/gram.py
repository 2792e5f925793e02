"""Bias-free layers act on a prompt from the right, through its Gram matrix alone.

    H + sum_h (H Wq_h)(H Wk_h)^T (H Wv_h) = H (I + sum_h A_h G V_h),    A_h = Wq_h Wk_h^T

with V_h = Wv_h and G = H^T H over the context rows. So a stack of any depth is one m x m matrix
that depends on the context through G only, G <- B^T G B after each layer, and a query row is
multiplied by the same B. `precision` is that of the matrix products, as in `elsa.lsa`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows
from elsa.base.jit import at_once
from elsa.base.precision import EXACT, products_at


def context_gram(
    x: Real[ArrayLike, "*batch n d"] | Rows,
    y: Real[ArrayLike, "*batch n"] | Numbers | Rows,
    *,
    precision: str = EXACT,
) -> Real[Array, "*batch m m"]:
    """[X y]^T [X y] of a context, m = d + 1, summed over its rows.

    Raises:
      ValueError: for labels that do not fit the covariates, or an unknown precision.
    """
    rows = tokens(x, y)
    with products_at("context_gram", precision):
        return jnp.einsum("...ni,...nj->...ij", rows, rows)


def tokens(
    x: Real[ArrayLike, "*batch n d"] | Rows, y: Real[ArrayLike, "*batch n"] | Numbers | Rows
) -> Real[Array, "*batch n m"]:
    """The rows [x_i, y_i] of a prompt.

    Raises:
      ValueError: for labels that do not fit the covariates.
    """
    checks.shapes("tokens", x=(x, "... n d"))
    checks.real("tokens", y=y)
    covariates, labels = jnp.asarray(x), jnp.asarray(y)
    if covariates.shape[:-1] != labels.shape:
        raise ValueError(
            f"tokens: y must have shape {covariates.shape[:-1]}, as x has {covariates.shape}, "
            f"got {labels.shape}"
        )
    return jnp.concatenate([covariates, labels[..., None]], axis=-1)


def right_multiplier(
    gram: Real[ArrayLike, "m m"] | Rows,
    query_key: Real[ArrayLike, "heads m m"],
    value: Real[ArrayLike, "heads m m"],
    *,
    precision: str = EXACT,
) -> Real[Array, "m m"]:
    """B = I + sum_h A_h G V_h, which one layer with residual multiplies every row by.

    Args:
      gram: G = H^T H over the context rows.
      query_key: A_h = Wq_h Wk_h^T.
      value: V_h = Wv_h.

    Raises:
      ValueError: for shapes that do not fit, or an unknown precision.
    """
    checks.shapes(
        "right_multiplier",
        gram=(gram, "m m"),
        query_key=(query_key, "heads m m"),
        value=(value, "heads m m"),
    )
    with products_at("right_multiplier", precision):
        return _right_multiplier(*map(jnp.asarray, (gram, query_key, value)))


@at_once
def _right_multiplier(gram: Array, query_key: Array, value: Array) -> Array:
    change = jnp.einsum("hij,hjk->ik", query_key @ gram, value)
    return jnp.eye(change.shape[-1], dtype=change.dtype) + change


def run_layers(
    gram: Real[ArrayLike, "m m"] | Rows,
    row: Real[ArrayLike, " m"] | Numbers,
    query_key: Real[ArrayLike, "depth heads m m"],
    value: Real[ArrayLike, "depth heads m m"],
    *,
    precision: str = EXACT,
) -> Real[Array, " m"]:
    """A query row after all layers; the row itself is in no Gram matrix (a mask keeps it out).

        row <- row B_t,    G <- B_t^T G B_t

    The cost is one m x m recursion of O(depth m^3), whatever the context's length.

    Raises:
      ValueError: for shapes that do not fit, or an unknown precision.
    """
    checks.shapes(
        "run_layers",
        gram=(gram, "m m"),
        row=(row, "m"),
        query_key=(query_key, "depth heads m m"),
        value=(value, "depth heads m m"),
    )
    arrays = [jnp.asarray(array) for array in (gram, row, query_key, value)]
    common = jnp.result_type(*arrays)  # a scan carries one dtype
    moment, query, first, last = (array.astype(common) for array in arrays)
    if len(first) == 0:
        return query
    with products_at("run_layers", precision):
        return _run_layers(moment, query, first, last)


@at_once
def _run_layers(gram: Array, row: Array, query_key: Array, value: Array) -> Array:
    def layer(state: tuple[Array, Array], weights: tuple[Array, Array]) -> tuple[Any, None]:
        multiplier = _right_multiplier(state[0], *weights)
        return (multiplier.T @ state[0] @ multiplier, state[1] @ multiplier), None

    start = (gram, row)
    if len(query_key) > 1:
        start, _ = jax.lax.scan(layer, start, (query_key[:-1], value[:-1]))
    # nothing reads the Gram matrix after the last layer, and one row needs no multiplier:
    # row (A G V) is three products with a vector
    reads = jnp.einsum("i,hij->hj", start[1], query_key[-1]) @ start[0]
    return start[1] + jnp.einsum("hj,hjk->k", reads, value[-1])


def cost_of_rows(rows: int, channels: int, key_size: int, num_heads: int) -> int:
    """Multiplications of one layer on all rows.

    A head forms queries, keys and values, rows (2 m p + m^2), and contracts them, rows 2 m p.
    """
    sizes = {"rows": rows, "channels": channels, "key_size": key_size, "num_heads": num_heads}
    checks.integer("cost_of_rows", **{name: (size, 0) for name, size in sizes.items()})
    return num_heads * rows * (4 * channels * key_size + channels**2)


def cost_of_gram(rows: int, channels: int, num_heads: int, depth: int) -> int:
    """Multiplications of `depth` layers by the Gram matrix.

    One pass over the rows, rows m^2, then a head's two products and two of the recursion, m^3 each.
    """
    sizes = {"rows": rows, "channels": channels, "num_heads": num_heads, "depth": depth}
    checks.integer("cost_of_gram", **{name: (size, 0) for name, size in sizes.items()})
    return rows * channels**2 + depth * (2 * num_heads + 2) * channels**3


def prefers_gram(rows: int, channels: int, key_size: int, num_heads: int, depth: int) -> bool:
    """Whether a residual stack of bias-free layers costs less through its Gram matrix, for a
    query's row."""
    checks.integer("prefers_gram", depth=(depth, 0))
    direct = depth * cost_of_rows(rows, channels, key_size, num_heads)
    return cost_of_gram(rows, channels, num_heads, depth) < direct
