"""A dense ELSA layer as a share of the machine's rate of matrix products.

Operations are counted by the formula: n h (8 m p + 2 m^2) forward for h heads on a prompt [n, m] of
key size p, two for a multiplication with its addition, and three times that with the gradients.
An order of products that needs fewer of them passes 100 %. The rate of one large product is
measured beside, in the same turns.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.harness import Row, sample
from elsa.nn import ELSA

_SIDE = 1024


class Shape(NamedTuple):
    """n rows, m channels, h heads, key size p."""

    rows: int
    channels: int
    num_heads: int
    key_size: int

    @property
    def operations(self) -> float:
        """Of one forward pass, as the formula has them."""
        n, m, h, p = self
        return float(n * h * (8 * m * p + 2 * m**2))


def run(repeats: int) -> Iterator[Row]:
    """Two shapes; the large one takes seconds a turn."""
    yield from shares(Shape(4096, 256, 4, 64), min(repeats, 10))
    yield from shares(Shape(16384, 512, 8, 64), min(repeats, 5))


def quick(repeats: int) -> Iterator[Row]:
    """The small shape."""
    yield from shares(Shape(4096, 256, 4, 64), repeats)


def shares(shape: Shape, repeats: int) -> Iterator[Row]:
    """Rates forward and with gradients, against that of one large product."""
    forward, both = passes(shape)
    square = jnp.ones((_SIDE, _SIDE), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    calls = {
        "product": lambda: product(square),
        "forward": forward,
        "forward and backward": both,
    }
    operations = {
        "product": 2.0 * _SIDE**3,
        "forward": shape.operations,
        "forward and backward": 3.0 * shape.operations,
    }
    seconds = sample(calls, repeats=repeats)
    rates = {
        name: tuple(operations[name] / turn for turn in turns) for name, turns in seconds.items()
    }
    n, m, h, p = shape
    case = f"dense ELSA layer, n={n} m={m} h={h} p={p} float32"
    rate = statistics.median(rates["product"])
    turns = rates["product"]
    yield Row(case, "rate of one large product", rate, "flop/s", turns=turns, judged=False)
    for name in ("forward", "forward and backward"):
        yield Row(
            case,
            f"rate {name}, share of the product's",
            statistics.median(rates[name]),
            "flop/s",
            rate,
            turns=rates[name],
            baseline_turns=turns,
            limit=1.0,
        )


def passes(shape: Shape) -> tuple[Callable[[], jax.Array], Callable[[], tuple[jax.Array, ...]]]:
    """The layer's output, and the gradients of its mean square by prompt and weights."""
    layer = ELSA(
        shape.rows,
        shape.channels,
        shape.key_size,
        shape.num_heads,
        dtype=jnp.float32,
        rngs=nnx.Rngs(params=0),
    )
    graph, state = nnx.split(layer)
    h = jax.random.normal(jax.random.key(0), (shape.rows, shape.channels), jnp.float32)

    def output(state: Any, h: jax.Array) -> jax.Array:
        result: jax.Array = nnx.merge(graph, state)(h)
        return result

    compiled = jax.jit(output)
    both = jax.jit(jax.grad(lambda state, h: jnp.mean(output(state, h) ** 2), argnums=(0, 1)))
    return (lambda: compiled(state, h)), (lambda: both(state, h))
