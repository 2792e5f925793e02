"""What compiling and running long data, and wide blocks, takes, each in a process of its own."""

import inspect
import json
import resource
import subprocess
import sys
import time
import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler import helpers
from tests.compiler.test_long_data import steps

LONG, WIDE = 100_000, 512
LONG_DATA = (
    *("centred rows", "first rows", "autoregression", "row weights", "a mask"),
    *("centred data", "shifted", "chosen rows", "a band"),
)
WIDE_BLOCKS = {
    "a product's triangle": lambda A, Z: {"Z": jnp.tril(Z @ A)},
    "a trace": lambda A, Z: {"Z": jnp.trace(A @ Z) * Z},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LONG_DATA, *WIDE_BLOCKS])
def test_memory_grows_with_the_blocks(name):
    child = subprocess.run(
        [sys.executable, "-m", "tests.compiler.test_memory", name],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    found = json.loads(child.stdout)
    print(name, found)
    assert found["error"] <= 1e-12
    assert found["gigabytes"] <= (1.5 if name in LONG_DATA else 1.0)


@pytest.mark.parametrize("name", ["first order", "mean", "centred"])
def test_planning_takes_no_memory_for_each_row(name):
    """What holds of all rows alike is kept once; only a mean over rows has numbers beside them."""
    rows = 100_000 if name == "centred" else 100_000_000

    def step(X, y, w):
        centred = X - X.mean(0, keepdims=True) if name == "centred" else X
        scale = 1 / rows if name == "mean" else 1e-9
        return {"w": w - scale * (centred.T @ (centred @ w - y))}

    shapes = {"X": (rows, 20), "y": (rows, 1), "w": (20, 1)}
    tracemalloc.start()
    try:
        stack = elsa.compile(step, shapes, depth=10)
        streamed = stack.streamed("X", "y", form="rows")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert streamed.passes == (11 if name == "centred" else 10)
    assert peak <= (100 * rows if name == "centred" else 0) + 20e6


def measured(name):
    """Seconds of compiling and the first run, the error against the step, and the peak memory."""
    if name in WIDE_BLOCKS:
        step = WIDE_BLOCKS[name]
        shapes = dict.fromkeys(inspect.signature(step).parameters, (WIDE, WIDE))
    else:
        step, shapes = steps(LONG)[name]
    blocks = helpers.draw(shapes)
    start = time.perf_counter()
    stack = elsa.compile(step, shapes, 2, dtype=np.float64)
    out = {name: np.asarray(value) for name, value in stack(**blocks).items()}
    seconds = time.perf_counter() - start
    final = helpers.path(step, blocks, 2)[-1]
    error = max(np.abs(out[n] - final[n]).max() / np.abs(final[n]).max() for n in out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": round(seconds, 2), "error": float(error), "gigabytes": round(peak, 2)}


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    print(json.dumps(measured(sys.argv[1])))
