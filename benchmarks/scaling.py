"""Cost against growing sizes: context, dimension, depth, batch and models in one program.

The exponents are those of least-squares lines through times in both logarithms. Sizes at which a
call costs as little as starting it pull them below what the arithmetic has.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import elsa
from benchmarks import peers, training
from benchmarks.growth import at_each, grow, powers
from benchmarks.harness import Row
from elsa import algorithms, models, tasks

_DIM, _LAYERS, _STEPS = 20, 3, 10
_LINEAR = 1.05  # the exponent in n that is promised
_STEP_SIZE = 0.5


def run(repeats: int) -> Iterator[Row]:
    """All five sizes."""
    yield from in_context_length(powers(1_000, 1_000_000, 10), repeats)
    yield from in_dimension(powers(5, 160, 2), repeats)
    yield from in_depth(powers(1, 64, 4), repeats)
    yield from in_batch(powers(1, 10_000, 10), repeats)
    yield from in_models((1, 8, 64), min(repeats, 7))


def quick(repeats: int) -> Iterator[Row]:
    """Smaller sizes, fewer of them, and no models."""
    yield from in_context_length((1_000, 10_000, 100_000), repeats)
    yield from in_dimension((5, 20, 80), repeats)
    yield from in_depth((1, 8), repeats)
    yield from in_batch((1, 100, 1_000), repeats)


def in_context_length(lengths: Sequence[int], repeats: int) -> Iterator[Row]:
    """Forward passes on given rows, by a linear transformer and a compiled descent.

    A step of descent reads all of X twice, so that its exponent is above 1 where X outgrows the
    caches, whoever wrote it.
    """
    name = "linear transformer"
    series = {name: at_each(lengths, lambda n: forward(n, _DIM, _LAYERS, 1)[0])}
    case = f"forward against n, {_LAYERS} layers d={_DIM} batch=1 float32"
    peer = {n: forward(n, _DIM, _LAYERS, 1)[1] for n in (1_000, 2_000, 4_000)}
    installed = {n: call for n, call in peer.items() if call is not None}
    if installed:
        series["n x n form in PyTorch"] = installed
    yield from grow(case, "n", series, repeats=repeats, limits={name: _LINEAR})
    if not installed:
        metric = "time of n x n form in PyTorch"
        yield Row(case, metric, None, "s", judged=False, note=peers.MISSING)

    case = f"ridge descent against n, {_STEPS} steps d={_DIM} float32"
    series = {
        "compiled": at_each(lengths, lambda n: descent(n, by_hand=False)),
        "hand-written JAX": at_each(lengths, lambda n: descent(n, by_hand=True)),
    }
    yield from grow(case, "n", series, repeats=repeats)


def in_dimension(dims: Sequence[int], repeats: int) -> Iterator[Row]:
    """Forward passes on Gram matrices, of the order of d^3 in the end."""
    series = {"linear transformer": at_each(dims, lambda d: forward(1_000, d, _LAYERS, 8)[0])}
    case = f"forward against d, {_LAYERS} layers n=1000 batch=8 float32"
    yield from grow(case, "d", series, repeats=repeats)


def in_depth(depths: Sequence[int], repeats: int) -> Iterator[Row]:
    """Forward passes of more layers, which cost as much each."""
    series = {"linear transformer": at_each(depths, lambda t: forward(1_000, _DIM, t, 8)[0])}
    case = f"forward against depth, n=1000 d={_DIM} batch=8 float32"
    yield from grow(case, "depth", series, repeats=repeats)


def in_batch(batches: Sequence[int], repeats: int) -> Iterator[Row]:
    """Forward passes of more prompts."""
    series = {"linear transformer": at_each(batches, lambda b: forward(20, 5, _LAYERS, b)[0])}
    case = f"forward against batch, {_LAYERS} layers n=20 d=5 float32"
    yield from grow(case, "batch", series, repeats=repeats)


def in_models(numbers: Sequence[int], repeats: int) -> Iterator[Row]:
    """Training steps of more models in one program, which share their data."""
    series = {"merged attention": at_each(numbers, training.steps_of_seeds)}
    case = f"training against models, {training.STEPS} steps d=20 n=40 batch=256 float32"
    yield from grow(case, "models", series, repeats=repeats)


def forward(
    n: int, dim: int, depth: int, batch: int
) -> tuple[Callable[[], jax.Array], Callable[[], Any] | None]:
    """Predictions of a linear transformer on fresh prompts, and the same by PyTorch."""
    model = models.LinearTransformer(
        dim, depth, scale=1.0 / n, dtype=jnp.float32, rngs=nnx.Rngs(params=0)
    )
    keys = jax.random.split(jax.random.key(0), 3)
    prompt = tasks.Prompt(
        jax.random.normal(keys[0], (batch, n, dim), jnp.float32),
        jax.random.normal(keys[1], (batch, n), jnp.float32),
        jax.random.normal(keys[2], (batch, dim), jnp.float32),
        jnp.zeros(batch, jnp.float32),
    )
    split = nnx.split(model)
    compiled = jax.jit(lambda state, prompt: nnx.merge(split[0], state)(prompt))
    weights = (model.p[...][:, 0], model.q[...][:, 0])
    peer = peers.linear_transformer(*prompt[:3], *weights, scale=model.scale) if n < 10**4 else None
    return (lambda: compiled(split[1], prompt)), peer


def descent(n: int, *, by_hand: bool) -> Callable[[], jax.Array]:
    """Steps of gradient descent on one ridge problem, compiled into attention layers or in a scan
    over the step itself."""
    shapes = {"X": (n, _DIM), "y": (n, 1), "w": (_DIM, 1), "lam": (1, 1)}
    step = algorithms.gradient_descent(_STEP_SIZE)
    x_key, y_key = jax.random.split(jax.random.key(0))
    blocks = {
        "X": jax.random.normal(x_key, (n, _DIM), jnp.float32) / n**0.5,
        "y": jax.random.normal(y_key, (n, 1), jnp.float32) / n**0.5,
        "w": jnp.zeros((_DIM, 1), jnp.float32),
        "lam": jnp.full((1, 1), 0.1, jnp.float32),
    }
    if by_hand:

        def repeated(blocks: dict[str, jax.Array]) -> jax.Array:
            def once(w: jax.Array, _: None) -> tuple[jax.Array, None]:
                return step(**{**blocks, "w": w})["w"], None

            return jax.lax.scan(once, blocks["w"], length=_STEPS)[0]

        run_steps = jax.jit(repeated)
    else:
        stack = elsa.compile(step, shapes, depth=_STEPS, dtype=jnp.float32)
        run_steps = jax.jit(lambda blocks: stack(**blocks)["w"])
    return lambda: run_steps(blocks)
