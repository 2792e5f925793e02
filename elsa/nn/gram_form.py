"""A residual stack of LSA layers run on the prompt's Gram matrix: one pass over its rows."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from elsa.attention import gram
from elsa.base.precision import products_at
from elsa.nn.layers import LSA

FORMS = ("direct", "gram", "auto")


def obstacle(layers: Sequence[Any], skip: str) -> str:
    """Why a stack cannot run on the Gram matrix alone; empty where it can."""
    if skip != "residual":
        return "its skip is a head with biases"
    other = [type(layer).__name__ for layer in layers if not isinstance(layer, LSA)]
    if other:
        return f"it has a layer of type {other[0]}, which may have biases"
    precisions = sorted({layer.precision for layer in layers})
    return (
        f"its layers have products of several precisions, {precisions}"
        if len(precisions) > 1
        else ""
    )


def is_cheaper(layers: Sequence[Any], num_layers: int, rows: int) -> bool:
    """Whether the Gram form takes fewer multiplications, its last product with all rows counted."""
    num_heads, channels, key_size = layers[0].wq.shape[-3:]
    last_product = rows * channels**2
    direct = num_layers * gram.cost_of_rows(rows, channels, key_size, num_heads)
    cheaper: bool = last_product + gram.cost_of_gram(rows, channels, num_heads, num_layers) < direct
    return cheaper


def run(
    prologue: Sequence[Any],
    body: Any,
    epilogue: Sequence[Any],
    h: Float[Array, "n m"],
    *,
    depth: int,
    tied: bool,
) -> Float[Array, "n m"]:
    """The prompt after all layers, H A_T, with A_T from the m x m recursion of `attention.gram`."""
    graph: Any
    graph, state = nnx.split(body)

    def period(carry: tuple[Array, Array], own: Any) -> tuple[tuple[Array, Array], None]:
        return _advance(nnx.merge(graph, state if tied else own), carry), None

    with products_at("Stack", body[0].precision):
        carry = _advance(prologue, (jnp.eye(h.shape[1], dtype=h.dtype), h.T @ h))
        carry, _ = jax.lax.scan(period, carry, None if tied else state, length=depth)
        product, _ = _advance(epilogue, carry)
        return h @ product


def _advance(layers: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
    """The product of all layers' multipliers so far, and the Gram matrix after them."""
    product, own_gram = carry
    for layer in layers:
        query_key = layer.wq[...] @ jnp.swapaxes(layer.wk[...], -1, -2)
        multiplier = gram.right_multiplier(
            own_gram, query_key, layer.wv[...], precision=layer.precision
        )
        product, own_gram = product @ multiplier, multiplier.T @ own_gram @ multiplier
    return product, own_gram
