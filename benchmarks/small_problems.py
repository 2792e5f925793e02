"""Training of tiny linear transformers, and dense layers, against the arithmetic of before.

The baseline is the same program by version 1 of `elsa.base.arithmetic`: batched products with the
batch as the first axis, each head of a dense layer by itself. Where PyTorch is installed its n x n
form takes turns, too, on prompts as fresh as ours.
"""

import functools
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.harness import Row, sample
from benchmarks.training import program_of, steps_of
from elsa.base import arithmetic
from elsa.nn import ELSA

_DIM, _CONTEXT = 5, 20
_DEPTHS, _BATCHES, _MODELS = (1, 2, 3), (1_000, 20_000), 20
_LAYERS = ((4096, 256, 4, 64), (16384, 512, 8, 64))  # rows, channels, heads, key size
_LATEST, _BEFORE = "vectors over the batch", "batch first"


def run(repeats: int) -> Iterator[Row]:
    """All rows."""
    for batch in _BATCHES:
        for depth in _DEPTHS:
            yield from training_step(depth, batch, 1, repeats)
    yield from training_step(3, 1_000, _MODELS, repeats)
    for sizes in _LAYERS:
        yield from dense_layer(*sizes, min(repeats, 7))


def training_step(depth: int, batch: int, models: int, repeats: int) -> Iterator[Row]:
    """A step of all models on fresh prompts, and the seconds that its program takes to compile."""
    steps = max(1, 20_000 // (batch * models))
    case = f"step, {models} models of {depth} layers d={_DIM} n={_CONTEXT} batch={batch} float32"
    contestants: dict[str, Callable[[], Any]] = {}
    for name, version in ((_BEFORE, 1), (_LATEST, arithmetic.LATEST)):
        contestants[name] = call = _steps(depth, batch, models, steps, version)
        start = time.perf_counter()
        jax.block_until_ready(call())
        yield Row(case, f"compilation, {name}", time.perf_counter() - start, "s")
    if importlib.util.find_spec("torch"):
        from benchmarks import torch_steps

        contestants["PyTorch"] = torch_steps.steps(depth, batch, models, steps, _DIM, _CONTEXT)
    seconds = {
        name: statistics.median(turns) / steps
        for name, turns in sample(contestants, repeats=repeats).items()
    }
    yield Row(case, f"time of {_LATEST} against {_BEFORE}", seconds[_LATEST], "s", seconds[_BEFORE])
    if "PyTorch" in seconds:
        theirs = seconds["PyTorch"]
        yield Row(case, f"time of {_LATEST} against PyTorch", seconds[_LATEST], "s", theirs)


def dense_layer(rows: int, channels: int, heads: int, key_size: int, repeats: int) -> Iterator[Row]:
    """Forward, and forward and backward, of an ELSA layer; its share of the rate of a product."""
    case = f"dense ELSA layer, n={rows} m={channels} {heads} heads p={key_size} float32"
    graph, params = nnx.split(ELSA(rows, channels, key_size, heads, rngs=nnx.Rngs(0)))
    h = jax.random.normal(jax.random.key(0), (rows, channels))
    square = jax.random.normal(jax.random.key(1), (2048, 2048))
    product = functools.partial(jax.jit(jnp.matmul), square, square)
    counted = rows * heads * (8 * channels * key_size + 2 * channels**2)

    def forward(version: int, params: Any, h: jax.Array) -> jax.Array:
        with arithmetic.as_of(version):
            return jnp.asarray(nnx.merge(graph, params)(h))

    def squares(version: int, params: Any, h: jax.Array) -> jax.Array:
        return jnp.sum(forward(version, params, h) ** 2)

    for what, times in (("forward", 1), ("forward and backward", 3)):
        contestants: dict[str, Callable[[], Any]] = {"product": product}
        for name, version in (("head by head", 1), ("all heads", arithmetic.LATEST)):
            function: Any = functools.partial(forward if times == 1 else squares, version)
            compiled = jax.jit(function if times == 1 else jax.grad(function, (0, 1)))
            contestants[name] = functools.partial(compiled, params, h)
        found = sample(contestants, repeats=repeats)
        seconds = {name: statistics.median(turns) for name, turns in found.items()}
        before, now = seconds["head by head"], seconds["all heads"]
        yield Row(case, f"time of {what}, all heads against head by head", now, "s", before)
        rate = 2 * 2048**3 / seconds["product"]
        yield Row(case, f"rate of {what} against a product's", times * counted / now, "1/s", rate)


def _steps(depth: int, batch: int, models: int, steps: int, version: int) -> Callable[[], Any]:
    """Trains on, some steps a call."""
    task = {"name": "linear_regression", "dim": _DIM, "context_length": _CONTEXT}
    model = {"name": "linear_transformer", "depth": depth, "scale": 1 / _CONTEXT}
    program = program_of(task, model, batch=batch, steps=steps, num_seeds=models, version=version)
    return steps_of(program, steps)
