"""Iterations to put into a step, as one writes them: unrolled, in a fori_loop, in a scan.

They are made of @, .T, sums and scalings alone, so that NumPy runs them too, in any precision.
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

ETA = 0.1


@dataclasses.dataclass(frozen=True)
class Iteration:
    """state -> state, a tuple in the order of `states`.

    update: (blocks, states) -> the next states.
    blocks: rng -> all blocks by name, the step at the edge of stability.
    """

    update: Callable
    blocks: Callable
    states: tuple[str, ...]


def at_the_edge(rng, n, d, reach=1.9):
    """X with eta |X|^2 = reach: gradient descent contracts while it is below 2."""
    X = rng.normal(size=(n, d))
    return X * (reach / ETA) ** 0.5 / np.linalg.norm(X, 2)


def definite(rng, d, low, high):
    V = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return V * np.geomspace(low, high, d) @ V.T


def regression(rng, n=20, d=4, k=1, **more):
    blocks = {"X": at_the_edge(rng, n, d), "y": rng.normal(size=(n, k))}
    return blocks | {name: rng.normal(size=(d, k)) for name in ("w", *more)}


def gradient_descent(b, s):
    (w,) = s
    return (w - ETA * (b["X"].T @ (b["X"] @ w - b["y"])),)


def ridge_descent(b, s):
    (w,) = s
    return (w - ETA * (b["X"].T @ (b["X"] @ w - b["y"]) + 0.01 * w),)


def heavy_ball(b, s):
    w, v = s
    v = 0.3 * v - ETA * (b["X"].T @ (b["X"] @ w - b["y"]))
    return w + v, v


def two_terms(b, s):
    w, before = s
    return 1.2 * w - 0.2 * before - ETA * (b["X"].T @ (b["X"] @ w - b["y"])), w


def nesterov(b, s):
    w, z = s
    ahead = z - 0.5 * ETA * (b["X"].T @ (b["X"] @ z - b["y"]))
    return ahead, ahead + 0.4 * (ahead - w)


def chebyshev_polynomial(b, s):
    now, before = s
    return 2.0 * (b["A"] @ now) - before, now


def horner(b, s):
    (v,) = s
    return (b["A"] @ v - 0.3 * b["c"],)


def newton_schulz(b, s):
    (Z,) = s
    return (2.0 * Z - Z @ b["A"] @ Z,)


def scalar_descent(b, s):
    (v,) = s
    return (v - ETA * (b["a"].T @ (b["a"] @ v - b["c"])),)


def data_step_size(b, s):
    (w,) = s
    return (w - b["eta"] * (b["X"].T @ (b["X"] @ w - b["y"]) + 0.01 * w),)


def kernel_descent(b, s):
    (a,) = s
    return (a - ETA * (b["X"] @ (b["X"].T @ a) - b["y"]),)


ITERATIONS = {
    "gradient descent": Iteration(gradient_descent, regression, ("w",)),
    "several outputs": Iteration(ridge_descent, lambda rng: regression(rng, 6, 3, 2), ("w",)),
    "wide": Iteration(gradient_descent, lambda rng: regression(rng, 3, 7), ("w",)),
    "heavy ball": Iteration(heavy_ball, lambda rng: regression(rng, v=1), ("w", "v")),
    "two terms": Iteration(two_terms, lambda rng: regression(rng, before=1), ("w", "before")),
    "nesterov": Iteration(nesterov, lambda rng: regression(rng, z=1), ("w", "z")),
    "chebyshev polynomial": Iteration(
        chebyshev_polynomial,
        lambda rng: {
            "A": definite(rng, 5, 0.01, 0.95) - 0.5 * np.eye(5),
            "now": rng.normal(size=(5, 1)),
            "before": rng.normal(size=(5, 1)),
        },
        ("now", "before"),
    ),
    "horner": Iteration(
        horner,
        lambda rng: {
            "A": definite(rng, 5, 0.01, 0.98),
            "c": rng.normal(size=(5, 1)),
            "v": rng.normal(size=(5, 1)),
        },
        ("v",),
    ),
    "newton-schulz": Iteration(
        newton_schulz,
        lambda rng: {"A": definite(rng, 4, 0.1, 1.9), "Z": np.eye(4)},
        ("Z",),
    ),
    "scalar descent": Iteration(
        scalar_descent,
        lambda rng: {
            "a": np.full((1, 1), (1.9 / ETA) ** 0.5),
            "c": rng.normal(size=(1, 2)),
            "v": rng.normal(size=(1, 2)),
        },
        ("v",),
    ),
    "step size as data": Iteration(
        data_step_size, lambda rng: regression(rng) | {"eta": np.full((1, 1), ETA)}, ("w",)
    ),
    "kernel descent": Iteration(
        kernel_descent,
        lambda rng: {
            "X": at_the_edge(rng, 6, 6),
            "y": rng.normal(size=(6, 1)),
            "a": np.zeros((6, 1)),
        },
        ("a",),
    ),
}


def step_of(iteration, length, kind):
    """A step of `length` iterations: "unrolled", "fori", "scan" or "numpy"."""

    def step(**blocks):
        def update(state):
            return iteration.update(blocks, state)

        start = tuple(blocks[name] for name in iteration.states)
        if kind == "fori":
            end = jax.lax.fori_loop(0, length, lambda _, state: update(state), start)
        elif kind == "scan":
            end = jax.lax.scan(lambda s, _: (update(s), None), start, None, length=length)[0]
        else:
            end = start
            for _ in range(length):
                end = update(end)
        return dict(zip(iteration.states, end, strict=True))

    return step
