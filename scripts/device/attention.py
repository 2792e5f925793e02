"""Attention, its Gram form, constructions and compiled stacks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import elsa
from elsa import algorithms, constructions, nn, tasks, theory
from elsa.attention import gram
from scripts.device.data import Case, Result, into, normal, ridge, solution, wide

CASES: dict[str, Case] = {}
case = into(CASES)

# Attention, and its Gram form.

ROWS, CHANNELS, KEYS = 96, 16, 8


def _head(rows: int, key_size: int) -> tuple[Any, Any, Any, Any]:
    """A prompt, wq, wk and wv."""
    wq, wk = normal(CHANNELS, key_size), normal(CHANNELS, key_size, seed=1)
    return normal(rows, CHANNELS), wq, wk, normal(CHANNELS, CHANNELS)


@case("lsa")
def _lsa() -> Result:
    h, wq, wk, wv = wide(*_head(ROWS, KEYS))
    return elsa.lsa(*_head(ROWS, KEYS)), (h @ wq) @ (h @ wk).T @ (h @ wv)


@case("lsa, few rows")
def _lsa_by_scores() -> Result:
    h, wq, wk, wv = wide(*_head(4, 2 * CHANNELS))
    return elsa.lsa(*_head(4, 2 * CHANNELS)), (h @ wq) @ (h @ wk).T @ (h @ wv)


@case("elsa")
def _elsa() -> Result:
    biases = normal(ROWS, KEYS), normal(ROWS, KEYS, seed=1), normal(ROWS, CHANNELS, seed=2)
    (h, wq, wk, wv), (bq, bk, bv) = wide(*_head(ROWS, KEYS)), wide(*biases)
    expected = (h @ wq + bq) @ (h @ wk + bk).T @ (h @ wv + bv)
    return elsa.elsa(*_head(ROWS, KEYS), *biases), expected


@case("gradient of lsa")
def _gradient_of_lsa() -> Result:
    h, wq, wk = wide(*_head(ROWS, KEYS)[:3])
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(elsa.lsa(*_head(ROWS, KEYS)[:3], v))))
    ones = np.ones_like(h)
    return gradient(normal(CHANNELS, CHANNELS)), h.T @ ((h @ wk) @ ((h @ wq).T @ ones))


def _layers(depth: int) -> list[np.ndarray]:
    scale = np.float32(0.1 / CHANNELS)
    return [scale * normal(depth, 2, CHANNELS, CHANNELS, seed=seed) for seed in (3, 4)]


def _through_layers(rows: np.ndarray, *layers: np.ndarray) -> np.ndarray:
    for query_key, value in zip(*layers, strict=True):
        rows = rows + sum(
            rows @ a @ (rows.T @ (rows @ v)) for a, v in zip(query_key, value, strict=True)
        )
    return rows


@case("Gram form")
def _gram_form() -> Result:
    rows, row, layers = normal(ROWS, CHANNELS), normal(CHANNELS), _layers(4)
    query_after = gram.run_layers(gram.context_gram(rows[:, :-1], rows[:, -1]), row, *layers)
    h, query = wide(rows, row)
    for query_key, value in zip(*wide(*layers), strict=True):
        seen = sum(a @ h.T @ h @ v for a, v in zip(query_key, value, strict=True))
        h, query = h + h @ seen, query + query @ seen
    return query_after, query


def _stack(form: str) -> Result:
    eye = np.broadcast_to(np.eye(CHANNELS, dtype=np.float32), (2, CHANNELS, CHANNELS))
    layers, rows = _layers(3), normal(ROWS, CHANNELS)
    modules = []
    for query_key, value in zip(*layers, strict=True):
        layer = nn.LSA(CHANNELS, CHANNELS, 2, dtype="float32", rngs=nnx.Rngs(0))
        layer.wq[...], layer.wk[...], layer.wv[...] = map(jnp.asarray, (query_key, eye, value))
        modules.append(layer)
    out = nn.Stack(modules, 1)(jnp.asarray(rows), form=form)
    return out, _through_layers(*wide(rows, *layers))


CASES["stack of layers"] = partial(_stack, "direct")
CASES["stack of layers, Gram form"] = partial(_stack, "gram")


# Ridge regression in context: by hand, by the compiler, in closed form.

DEPTH = 500  # the rest of the error is below 1e-8


def _constructed(make: Callable[..., Any]) -> Case:
    def computed() -> Result:
        problem = ridge()
        out = make(40, 8, DEPTH, 0.999, num_queries=5, dtype="float32")(**problem)
        w = solution(problem)
        return (out["w"], out["prediction"]), (w, problem["query_x"] @ w)

    return computed


_CONSTRUCTIONS = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa", "ridge_elsa_one_layer")
for _name in _CONSTRUCTIONS:
    CASES[f"{_name}, {DEPTH} steps"] = _constructed(getattr(constructions, _name))


def _converged(make: Callable[..., Any]) -> Case:
    """What the experiment `convergence` measures, on data that comes with the library."""

    def computed() -> Result:
        path = Path(__file__).parents[2] / "docs/data/linnerud.csv"
        table = tasks.standardised(tasks.read_csv(str(path), "waist"))
        blocks: dict[str, Any] = {
            "X": table.x.astype(np.float32),
            "y": table.y[:, None].astype(np.float32),
        }
        blocks |= {"lam": np.float32(1.0)}
        X = blocks["X"].astype(np.float64)
        values = np.linalg.eigvalsh(X.T @ X + np.eye(X.shape[1]))
        depth = theory.steps_to_reach(1e-8, values[-1] / values[0])
        step_size = theory.best_step_size(values[0], values[-1])
        w = make(*X.shape, depth, step_size, dtype="float32")(**blocks)["w"]
        return w, solution(blocks)

    return computed


for _name in _CONSTRUCTIONS:
    CASES[f"convergence of {_name}"] = _converged(getattr(constructions, _name))


def _compiled_descent(execution: str, **options: Any) -> Result:
    problem = ridge()
    del problem["query_x"]
    shapes = {"X": (40, 8), "y": (40, 1), "lam": (1, 1), "w": (8, 1)}
    step = algorithms.gradient_descent(0.999)
    options |= {"execution": execution, "dtype": "float32"}
    stack = elsa.compile(step, shapes, DEPTH, **options)
    return stack(**problem, w=np.zeros((8, 1), np.float32))["w"], solution(problem)


def _compiled_inverse(execution: str) -> Result:
    X, y = normal(30, 6), normal(30, 1)
    shapes = {"X": (30, 6), "y": (30, 1), "lam": (1, 1), "Z": (6, 6), "w": (6, 1)}
    wide = X.astype(np.float64)
    A = wide.T @ wide + 0.5 * np.eye(6)
    start = (np.eye(6) / np.abs(A).sum(axis=0).max()).astype(np.float32)
    step = algorithms.newton_schulz_ridge()
    stack = elsa.compile(step, shapes, 15, execution=execution, dtype="float32")
    out = stack(X=X, y=y, lam=np.float32(0.5), Z=start, w=np.zeros((6, 1), np.float32))
    return (out["Z"], out["w"]), (np.linalg.inv(A), np.linalg.solve(A, wide.T @ y))


for _execution, _how in (("auto", "on the blocks"), ("dense", "dense")):
    CASES[f"compiled gradient descent, {_how}"] = partial(_compiled_descent, _execution)
    CASES[f"compiled gradient descent by X^T X, {_how}"] = partial(
        _compiled_descent, _execution, reassociate="gram"
    )
    CASES[f"compiled Newton-Schulz, {_how}"] = partial(_compiled_inverse, _execution)
