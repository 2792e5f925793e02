"""Training: a sweep in one program against its models one by one, and contexts of a million rows.

`speed-up` rows give model-steps per second, and their ratio is above 1 where the sweep is faster;
`context` rows give seconds a step.
"""

import functools
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.harness import Row, compare, sample
from elsa.base import arithmetic
from elsa.training.program import Program
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep

_DIM, _CONTEXT, _BATCH = 20, 40, 256
_SEEDS, _RATES = 16, tuple(0.001 * 2**i for i in range(8))  # 128 models
STEPS = 10  # of one call


def run(repeats: int) -> Iterator[Row]:
    """All rows."""
    for model in ("merged_attention", "linear_attention", "h3"):
        yield from sweep_against_one(model, min(repeats, 7))
    for depth in (1, 3):
        yield from long_context(depth, repeats)


def sweep_against_one(model: str, repeats: int) -> Iterator[Row]:
    """128 models in one program against the same program with one model, both warm."""
    task = {"name": "linear_regression", "dim": _DIM, "context_length": _CONTEXT}
    alone = _shared(task, {"name": model})
    together = _shared(task, {"name": model}, sweep={"learning_rate": _RATES}, num_seeds=_SEEDS)
    contestants = {"one": steps_of(alone, STEPS), "sweep": steps_of(together, STEPS)}
    seconds = sample(contestants, repeats=repeats)
    for name, program in (("one", alone), ("sweep", together)):
        compiled = program.compilations
        assert compiled == 1, f"{model}, {name}: {compiled} compilations where one is enough"
    models = _SEEDS * len(_RATES)
    case = f"training, {models} {model} d={_DIM} n={_CONTEXT} batch={_BATCH} float32, shared data"
    one = tuple(STEPS / turn for turn in seconds["one"])
    sweep = tuple(models * STEPS / turn for turn in seconds["sweep"])
    unit, alone_rate = "model-steps/s", statistics.median(one)
    yield Row(case, "speed of one model", alone_rate, unit, turns=one, judged=False)
    yield Row(
        case,
        "speed-up: sweep against one model",
        statistics.median(sweep),
        unit,
        alone_rate,
        turns=sweep,
        baseline_turns=one,
    )


def steps_of_seeds(num_seeds: int) -> Callable[[], jax.Array]:
    """Trains as many models that differ in their seed, `STEPS` steps a call."""
    task = {"name": "linear_regression", "dim": _DIM, "context_length": _CONTEXT}
    program = _shared(task, {"name": "merged_attention"}, num_seeds=num_seeds)
    return steps_of(program, STEPS)


def long_context(depth: int, repeats: int) -> Iterator[Row]:
    """A step of a linear transformer at 1e6 context rows against one at 1e3."""
    model = {"name": "linear_transformer", "depth": depth}
    contestants = {}
    for rows in (1_000, 1_000_000):
        task = {"name": "linear_regression", "dim": _DIM, "context_length": rows}
        contestants[f"n={rows}"] = steps_of(_shared(task, model), STEPS)
    yield from compare(
        f"context, {STEPS} training steps, {depth} layers, d={_DIM} batch={_BATCH} float32",
        contestants,
        baseline="n=1000",
        repeats=repeats,
    )


def program_of(
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    *,
    batch: int,
    steps: int,
    num_seeds: int = 1,
    sweep: Mapping[str, tuple[float, ...]] | None = None,
    share_data: bool = False,
    version: int = arithmetic.LATEST,
) -> Program:
    """A program that trains on without end, so many steps a call of `steps_of`.

    Args:
      task, model, batch, num_seeds, sweep, share_data: of a run's settings.
      steps: of one call.
      version: of the arithmetic of its steps, `elsa.base.arithmetic`.
    """
    config = {
        "task": task,
        "model": model,
        "sweep": sweep or {},
        "num_seeds": num_seeds,
        "train": {
            "num_steps": 1_000_000,
            "batch": batch,
            "evaluate_every": steps,
            "decay": "constant",
            "learning_rate": 0.001,
            "share_data": share_data,
        },
    }
    settings = RunSettings.from_config(config)
    program = Program(settings, make_sweep(settings))
    program.arithmetic = version
    return program


_shared = functools.partial(program_of, batch=_BATCH, steps=STEPS, share_data=True)


def steps_of(program: Program, steps: int) -> Callable[[], jax.Array]:
    """Trains on, so many steps a call, as many as `evaluate_every` of the program's settings."""
    state, step = program.init(), 0

    def call() -> jax.Array:
        nonlocal state, step
        loss: jax.Array
        state, loss = program.advance(state, jnp.int32(step))
        step += steps
        return loss

    return call
