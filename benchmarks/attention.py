"""One linear self-attention head: the order chosen by shape against the order as written.

(H Wq)(H Wk)^T (H Wv) costs O(n^2 (p + m)) from left to right and O(n p m) from the right.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp

import elsa
from benchmarks.harness import Row, compare


def left_to_right(h: jax.Array, wq: jax.Array, wk: jax.Array, wv: jax.Array) -> jax.Array:
    """The formula as it is written: n x n scores first, whatever the shape."""
    return ((h @ wq) @ (h @ wk).T) @ (h @ wv)


def run(repeats: int) -> Iterator[Row]:
    """Long prompts with few channels, and short ones with many, where both orders are the same."""
    for n, m in ((2048, 16), (16, 256)):
        keys = jax.random.split(jax.random.key(0), 4)
        h = jax.random.normal(keys[0], (n, m), jnp.float32)
        weights = [jax.random.normal(k, (m, m), jnp.float32) / m**0.5 for k in keys[1:]]
        yield from compare(
            f"attention, n={n} m={m} p={m} float32",
            {
                "elsa.lsa": functools.partial(jax.jit(elsa.lsa), h, *weights),
                "left to right": functools.partial(jax.jit(left_to_right), h, *weights),
            },
            baseline="left to right",
            repeats=repeats,
        )
