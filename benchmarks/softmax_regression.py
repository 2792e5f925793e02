"""Matrix softmax regression at n = 2048, d = 64: gradients and Hessian-vector products.

What must hold in both dtypes: the closed-form gradient is no slower than `jax.grad` of the same
loss, a product takes less than four gradients, and its temporaries stay below 1 GiB, where one
Hessian would hold 128 MiB and the Kronecker product of the data 128 GiB in float64.
"""

import functools
from collections.abc import Iterator
from typing import Any

import jax

from benchmarks.harness import Row, compare
from elsa.softmax_regression import Problem

ROWS, DIM = 2048, 64
GIBIBYTE = 2.0**30


def planted(dtype: str, kind: str) -> tuple[Problem, jax.Array, jax.Array]:
    """A problem whose labels are the softmax of other weights, x and v; logits of order 1."""
    keys = jax.random.split(jax.random.key(0), 5)
    weights, rows = (DIM, DIM), (ROWS, DIM)
    shapes = (weights, weights, rows, rows, weights)
    x, v, *data, other = (
        jax.random.normal(key, shape, dtype) for key, shape in zip(keys, shapes, strict=True)
    )
    return Problem.planted(other / DIM, *data, kind=kind), x / DIM, v


def run(repeats: int) -> Iterator[Row]:
    """The normalized loss in both dtypes, the rescaled one in float64."""
    for dtype, kind in (
        ("float64", "normalized"),
        ("float32", "normalized"),
        ("float64", "rescaled"),
    ):
        with jax.enable_x64(dtype == "float64"):
            yield from _rows(dtype, kind, repeats)


def _rows(dtype: str, kind: str, repeats: int) -> Iterator[Row]:
    case = f"matrix softmax regression, {kind}, n={ROWS} d={DIM} {dtype}"
    problem, x, v = planted(dtype, kind)
    product = jax.jit(lambda problem, x, v: problem.hvp(x, v))
    gradient = jax.jit(lambda problem, x: problem.gradient(x))
    of_jax = jax.jit(lambda problem, x: jax.grad(problem.loss)(x))
    calls = {
        "gradient": functools.partial(gradient, problem, x),
        "jax.grad": functools.partial(of_jax, problem, x),
        "Hessian-vector product": functools.partial(product, problem, x, v),
    }
    for baseline, rival in (("jax.grad", "gradient"), ("gradient", "Hessian-vector product")):
        pair = {name: calls[name] for name in (baseline, rival)}
        yield from compare(case, pair, baseline=baseline, repeats=repeats)
    analysis: Any = product.lower(problem, x, v).compile().memory_analysis()
    assert x.dtype == dtype
    metric = "temporaries of a Hessian-vector product against 1 GiB"
    yield Row(case, metric, float(analysis.temp_size_in_bytes), "bytes", GIBIBYTE)
