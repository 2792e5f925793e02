"""A training step of the small GPT-2, its cost a token, beside PyTorch's where it is installed.

The sizes are those of Garg et al. (arXiv:2208.01066), tiny and small, on prompts of d = 20 and
n = 40, 64 a step. Ours before is by version 2 of `elsa.base.arithmetic`, which runs the last layer
for every token.
"""

import importlib.util
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from benchmarks.harness import Row, sample
from benchmarks.peers import MISSING
from benchmarks.training import program_of, steps_of
from elsa.base import arithmetic

SIZES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"width": 64, "depth": 3, "num_heads": 2},
    "small": {"width": 128, "depth": 6, "num_heads": 4},
}
_QUICK = {"width": 16, "depth": 2, "num_heads": 2}
_DIM, _CONTEXT, _BATCH = 20, 40, 64
_STEPS = 5  # of one call
_NOW, _BEFORE, _PEER, _COMPILED = (
    "elsa",
    "every token in the last layer",
    "PyTorch",
    "PyTorch compiled",
)
_GAIN = 1 / 1.2  # the share of the peer's time that is asked for


def run(repeats: int) -> Iterator[Row]:
    """All rows."""
    for name, sizes in SIZES.items():
        yield from a_token(name, sizes, repeats)


def quick(repeats: int) -> Iterator[Row]:
    """A smaller model."""
    yield from a_token("quick", _QUICK, repeats, compiled=False)


def a_token(
    name: str, sizes: Mapping[str, int], repeats: int, *, compiled: bool = True
) -> Iterator[Row]:
    """Seconds of a step over its tokens, ours against the one before and against PyTorch's."""
    case = f"training, {name} GPT-2 d={_DIM} n={_CONTEXT} batch={_BATCH} float32"
    contestants: dict[str, Callable[[], Any]] = {}
    for which, version in ((_BEFORE, 2), (_NOW, arithmetic.LATEST)):
        contestants[which] = call = _steps(sizes, version)
        start = time.perf_counter()
        jax.block_until_ready(call())
        yield Row(case, f"compilation, {which}", time.perf_counter() - start, "s", judged=False)
    if importlib.util.find_spec("torch"):
        contestants |= _peers(sizes, compiled=compiled)
    tokens = _STEPS * _BATCH * (_CONTEXT + 1)
    turns = {
        which: tuple(seconds / tokens for seconds in found)
        for which, found in sample(contestants, repeats=repeats).items()
    }
    for which in (_BEFORE, _PEER, _COMPILED):
        metric = f"time a token of {_NOW} against {which}"
        if which in turns:
            limit = None if which == _BEFORE else _GAIN
            yield _row(case, metric, turns[_NOW], turns[which], limit)
    if _PEER not in turns:
        yield Row(case, f"time a token of {_NOW} against {_PEER}", None, "s", note=MISSING)


def _row(
    case: str, metric: str, ours: tuple[float, ...], theirs: tuple[float, ...], limit: float | None
) -> Row:
    middle = len(ours) // 2
    return Row(
        case,
        metric,
        sorted(ours)[middle],
        "s",
        sorted(theirs)[middle],
        turns=ours,
        baseline_turns=theirs,
        limit=limit,
    )


def _steps(sizes: Mapping[str, int], version: int) -> Callable[[], Any]:
    """Trains on, some steps a call."""
    task = {"name": "linear_regression", "dim": _DIM, "context_length": _CONTEXT}
    model = {"name": "gpt2", **sizes}
    program = program_of(task, model, batch=_BATCH, steps=_STEPS, version=version)
    return steps_of(program, _STEPS)


def _peers(sizes: Mapping[str, int], *, compiled: bool) -> dict[str, Callable[[], Any]]:
    """PyTorch's step, and compiled where that works on this machine."""
    from benchmarks import torch_gpt2

    shapes: dict[str, Any] = {**sizes, "dim": _DIM, "context_length": _CONTEXT, "batch": _BATCH}
    found = {_PEER: torch_gpt2.steps(**shapes, count=_STEPS)}
    if compiled:
        call = torch_gpt2.steps(**shapes, count=_STEPS, compiled=True)
        try:
            call()
        except Exception:  # of a machine without a C++ compiler, among much else
            traceback.print_exc(limit=1)
        else:
            found[_COMPILED] = call
    return found
