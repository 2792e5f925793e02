"""Compiled stacks and layers that go through a file."""

import json
from typing import NamedTuple

import numpy as np
from safetensors import safe_open

import elsa
from elsa import BlockLayout
from elsa.exchange.format import KEY
from elsa.heads.head import HeadWeights


def descent(X, y, w):
    return {"w": w - 0.1 * (X.T @ (X @ w - y))}


def slowing_descent(X, y, w, t):
    return {"w": w - 0.1 / (1 + t) * (X.T @ (X @ w - y))}


def oja(C, W):  # two layers a step
    return {"W": W + 0.1 * (C @ W - W @ (W.T @ C @ W))}


def inverse(A, Z, b, x):  # x is read by no step: an epilogue
    return {"Z": 2 * Z - Z @ A @ Z, "x": Z @ b}


def identity(w):
    return {"w": w}


class Case(NamedTuple):
    """A compiled stack: step, input shapes, depth, options."""

    step: object
    inputs: dict
    depth: int
    options: dict = {}  # noqa: RUF012


RIDGE = {"X": (5, 3), "y": (5, 1), "w": (3, 1)}
ELSEWHERE = BlockLayout(
    {"X": (1, 1, 3, 5), "y": (5, 2, 5, 1), "w": (0, 8, 3, 1)}, (12, 10), transposed=("X",)
)
COMPILED = {
    "tied": Case(descent, RIDGE, 4),
    "depth 1": Case(descent, RIDGE, 1),
    "depth 0": Case(descent, RIDGE, 0),
    "no layers": Case(identity, {"w": (3, 1)}, 2),
    "one axis": Case(descent, {"X": (5, 3), "y": (5,), "w": (3,)}, 4),
    "untied": Case(slowing_descent, RIDGE, 4, {"tied": False}),
    "skip head": Case(descent, RIDGE, 4, {"skip": "head"}),
    "untied, skip head": Case(slowing_descent, RIDGE, 3, {"tied": False, "skip": "head"}),
    "load layer": Case(descent, RIDGE, 4, {"layout": ELSEWHERE}),
    "two layers a step": Case(oja, {"C": (4, 4), "W": (4, 2)}, 3),
    "epilogue": Case(inverse, {"A": (3, 3), "Z": (3, 3), "b": (3, 1), "x": (3, 1)}, 3),
    "dense": Case(descent, RIDGE, 2, {"execution": "dense"}),
}


def compiled(name, **more):
    case = COMPILED[name]
    return elsa.compile(case.step, case.inputs, case.depth, **case.options, **more)


def drawn(shapes, seed=0):
    """Blocks of norm about 1, so that every step of the table stays bounded."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) / sum(shape) for name, shape in shapes.items()}


def reference(case, blocks):
    """The step itself, `depth` times."""
    state = dict(blocks)
    for t in range(case.depth):
        state |= case.step(**state, **({"t": t} if case.options.get("tied") is False else {}))
    return state


def through_a_file(stack, folder):
    elsa.export(stack, folder / "stack.safetensors")
    return elsa.load(folder / "stack.safetensors")


def about(path):
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()[KEY])


def layer(kind, *lead, channels=3, dtype=None):
    """A module of random weights, drawn in NumPy, for which jax compiles nothing."""
    rng, (n, m, p) = np.random.default_rng(0), (4, channels, 2)
    sizes = [(m, p), (m, p), (m, m), (n, p), (n, p), (n, m)]
    arrays = [0.2 * rng.normal(size=(*lead, *size)) for size in sizes]
    return kind.from_weights(HeadWeights(*arrays), dtype=dtype)
