"""What the numbers were measured on, and what this machine can do at most.

Two rates bound every other case: multiplications and additions of a large matrix product, and bytes
a second that arrays larger than any cache are read and written with.
"""

import importlib.metadata
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row, sample
from elsa.base import cores, environment

_PEERS = ("scipy", "scikit-learn", "torch")  # beside what every run's environment lists
_SIDE = 1024  # of the square matrices
NUMBERS = 2**25  # float32: 128 MiB, above the last cache of most CPUs


def description() -> dict[str, Any]:
    """Processor, cores, threads, versions and the load, as plain JSON values."""
    return {
        "cpu": processor(),
        "cores": cores.own(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "load": load(),
        "peers": {name: _version(name) for name in _PEERS},
        **environment.environment(),
    }


def processor() -> str:
    """The CPU's name as the system gives it; of a device of jax, its kind stands in "device"."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else "unknown"


def load() -> float | None:
    """Processes that ran or waited to run, on average over the last minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether seconds on one machine may be held against seconds on the other."""
    names = ("cpu", "cores", "threads", "device")
    return all(one.get(name) == other.get(name) for name in names)


def run(repeats: int) -> Iterator[Row]:
    """Rates of products and of memory; they are what others are compared with, and not judged."""
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            yield matmul_rate(dtype, repeats)
    yield from memory_rate(repeats)


def matmul_rate(dtype: str, repeats: int) -> Row:
    """Operations a second of one large XLA product, two for a multiplication with its addition."""
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    side = _SIDE
    a = jnp.ones((side, side), dtype)
    turns = sample({"": lambda: product(a, a)}, repeats=repeats)[""]
    rates = tuple(2.0 * side**3 / seconds for seconds in turns)
    case, metric = f"machine, product of {side} x {side} matrices {dtype}", "rate of XLA"
    return Row(case, metric, statistics.median(rates), "flop/s", turns=rates, judged=False)


def memory_rate(repeats: int) -> Iterator[Row]:
    """Bytes a second of a copy by NumPy and of x -> 2 x by XLA, read and written ones."""
    case = f"machine, memory, {NUMBERS * 4 / 2**20:.0f} MiB float32"
    source, target = np.ones(NUMBERS, np.float32), np.empty(NUMBERS, np.float32)
    double, array = jax.jit(lambda x: 2.0 * x), jnp.asarray(source)
    contestants = {
        "a copy by NumPy": lambda: np.copyto(target, source),
        "doubling by XLA": lambda: double(array),
    }
    for name, turns in sample(contestants, repeats=repeats).items():
        rates = tuple(2.0 * source.nbytes / seconds for seconds in turns)
        metric = f"rate of {name}"
        yield Row(case, metric, statistics.median(rates), "bytes/s", turns=rates, judged=False)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
