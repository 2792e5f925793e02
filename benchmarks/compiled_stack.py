"""A compiled step, run by its blocks, against the same algorithm written by hand.

Gradient descent on the ridge loss, 64 tasks at once, in two plans: as it is written,
w <- w - eta (X^T (X w - y) + lam w), and "gram", which forms X^T X and X^T y once and repeats
w <- w - eta (X^T X w - X^T y + lam w). The ratio is what compiling costs.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import elsa
from benchmarks.harness import Row, compare
from elsa import algorithms, compiler

CONTEXT_LENGTH, DIM, DEPTH, TASKS = 1000, 20, 1000, 64
LIMIT = 1.05  # of the ratio
STEP_SIZE = 0.5  # X^T X + lam I has eigenvalues of 0.8 to 1.4 where X has variance 1 / n
SHAPES = {"X": (CONTEXT_LENGTH, DIM), "y": (CONTEXT_LENGTH, 1), "w": (DIM, 1), "lam": (1, 1)}


@jax.jit
@jax.vmap
def gram_by_hand(X: jax.Array, y: jax.Array, w: jax.Array, lam: jax.Array) -> jax.Array:
    """What one would write without a compiler where X^T X may be formed."""
    gram, moment = X.T @ X, X.T @ y

    def descend(w: jax.Array, _: None) -> tuple[jax.Array, None]:
        return w - STEP_SIZE * (gram @ w - moment + lam * w), None

    return jax.lax.scan(descend, w, length=DEPTH)[0]


@jax.jit
@jax.vmap
def written_by_hand(X: jax.Array, y: jax.Array, w: jax.Array, lam: jax.Array) -> jax.Array:
    """The step itself, in a loop."""
    step = algorithms.gradient_descent(STEP_SIZE)

    def descend(w: jax.Array, _: None) -> tuple[jax.Array, None]:
        return step(X=X, y=y, w=w, lam=lam)["w"], None

    return jax.lax.scan(descend, w, length=DEPTH)[0]


PLANS: dict[str, tuple[bool | Literal["gram"], Callable[..., jax.Array]]] = {
    "as written": (True, written_by_hand),
    "gram": ("gram", gram_by_hand),
}


def compiled(reassociate: bool | Literal["gram"]) -> compiler.CompiledStack:
    """The same algorithm from its step."""
    return elsa.compile(
        algorithms.gradient_descent(STEP_SIZE),
        SHAPES,
        depth=DEPTH,
        reassociate=reassociate,
        execution="auto",
        dtype=jnp.float32,
    )


def tasks() -> dict[str, jax.Array]:
    """Blocks of 64 tasks, float32."""
    x_key, y_key = jax.random.split(jax.random.key(0))
    X = jax.random.normal(x_key, (TASKS, CONTEXT_LENGTH, DIM), jnp.float32)
    y = jax.random.normal(y_key, (TASKS, CONTEXT_LENGTH, 1), jnp.float32)
    return {
        "X": X / CONTEXT_LENGTH**0.5,
        "y": y / CONTEXT_LENGTH**0.5,
        "w": jnp.zeros((TASKS, DIM, 1), jnp.float32),
        "lam": jnp.full((TASKS, 1, 1), 0.1, jnp.float32),
    }


def run(repeats: int) -> Iterator[Row]:
    """Seconds from the step to the first answer of one task, then of 64 tasks in turns."""
    blocks = tasks()
    first = {name: jax.block_until_ready(block[0]) for name, block in blocks.items()}
    for plan, (reassociate, by_hand) in PLANS.items():
        case = f"compiled ridge descent, {plan}, n={CONTEXT_LENGTH} d={DIM} T={DEPTH} float32"
        start = time.perf_counter()
        stack = compiled(reassociate)
        jax.block_until_ready(stack(**first))
        yield Row(case, "time of compiling and the first run", time.perf_counter() - start, "s")

        batch = jax.jit(jax.vmap(lambda one, stack=stack: stack(**one)["w"]))
        # Both round some hundred times before the error contracts; float32 keeps 4 digits easily.
        np.testing.assert_allclose(batch(blocks), by_hand(**blocks), rtol=1e-4, atol=1e-6)
        yield from compare(
            f"{case}, {TASKS} tasks",
            {
                "compiled stack": functools.partial(batch, blocks),
                "hand-written scan": functools.partial(by_hand, **blocks),
            },
            baseline="hand-written scan",
            limit=LIMIT,
            repeats=3 * repeats,  # turns are short, and a busy machine makes them uneven
        )
