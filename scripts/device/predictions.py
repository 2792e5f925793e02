"""Estimators, theory in jax, softmax regression, and layers to train at their default precision."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa import models, predictors, tasks, theory
from elsa.softmax_regression import Problem
from scripts.device.data import Case, Result, into, normal, ridge, solution, wide

CASES: dict[str, Case] = {}
case = into(CASES)


def _prompt() -> tasks.Prompt:
    return tasks.Prompt(normal(4, 50, 6), normal(4, 50), normal(4, 6), normal(4))


def _problems() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, query_x = wide(*_prompt()[:3])
    return x, y, query_x


def _predicted(weight_of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    each = zip(*_problems(), strict=True)
    return np.array([query @ weight_of(x, y) for x, y, query in each])


@case("predictors")
def _predictors() -> Result:
    prompt, weight = _prompt(), normal(6, 6)
    cov = np.diag(np.arange(1.0, 7.0)).astype(np.float32)
    predictions = (
        predictors.ridge(prompt, 0.5),
        predictors.bayes(prompt, cov, 0.5),
        predictors.preconditioned_step(prompt, weight),
        predictors.gradient_descent(prompt, 20, 0.01, 0.5),
    )

    def descend(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        w = np.zeros(6)
        for _ in range(20):
            w = w - 0.01 * (x.T @ (x @ w - y) + 0.5 * w)
        return w

    eye = np.eye(6)
    expected = (
        _predicted(lambda x, y: np.linalg.solve(x.T @ x + 0.5 * eye, x.T @ y)),
        _predicted(lambda x, y: np.linalg.solve(x.T @ x + 0.5 * np.linalg.inv(cov), x.T @ y)),
        _predicted(lambda x, y: weight.astype(np.float64) @ x.T @ y),
        _predicted(descend),
    )
    return predictions, expected


@case("theory")
def _theory() -> Result:
    problem, w, d_x = ridge(), normal(8, 1), normal(40, 8)
    X, y, wide_w, wide_d = wide(problem["X"], problem["y"], w, d_x)
    lam, best = np.float64(problem["lam"]), solution(problem)
    of = problem["X"], problem["y"]
    shifts = (
        theory.ridge_gradient(*of, w, problem["lam"]),
        theory.ridge_loss(*of, w, problem["lam"]),
        theory.natural_shift(*of, problem["lam"], d_x=d_x),
    )
    residual = y - X @ best
    expected = (
        X.T @ (X @ wide_w - y) + lam * wide_w,
        (np.sum((y - X @ wide_w) ** 2) + lam * np.sum(wide_w**2)) / 2,
        np.linalg.solve(X.T @ X + lam * np.eye(8), wide_d.T @ residual - X.T @ (wide_d @ best)),
    )
    return shifts, expected


# Softmax regression.


def _softmax_problem() -> tuple[Problem, Any, Any]:
    """The problem, the weights that its labels were made of, and other weights; [d1, d2]."""
    queries, keys, weights = normal(20, 4), normal(30, 4), normal(4, 4) / 4
    logits = np.linalg.multi_dot(wide(queries, weights, keys.T))
    labels = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    problem = Problem(queries, keys, labels.astype(np.float32))
    return problem, weights, normal(4, 4, seed=1) / 4


@case("softmax regression: gradient, Hessian product")
def _softmax_derivatives() -> Result:
    problem, _, x = _softmax_problem()
    v = normal(4, 4, seed=2)
    derivatives = problem.gradient(x), problem.hvp(x, v)
    queries, keys, labels, weights, along = wide(problem.a1, problem.a2, problem.b, x, v)
    f = np.exp(queries @ weights @ keys.T)
    f = f / f.sum(axis=1, keepdims=True)

    def pull(upon: np.ndarray) -> np.ndarray:
        pulled: np.ndarray = f * (upon - (f * upon).sum(axis=1, keepdims=True))
        return pulled

    c, df = f - labels, pull(queries @ along @ keys.T)
    mean = (f * c).sum(axis=1, keepdims=True)
    push = df * (c - mean) + f * (df - (df * c + f * df).sum(axis=1, keepdims=True))
    return derivatives, (queries.T @ pull(c) @ keys, queries.T @ push @ keys)


@case("softmax regression: Newton-CG")
def _softmax_solution() -> Result:
    problem, weights, _ = _softmax_problem()
    return problem.solve().x, weights.astype(np.float64)


# Layers and models to train, at their default precision.


@case("trained layer: linear attention")
def _linear_attention() -> Result:
    model = models.LinearAttention(6, scale=0.02, dtype="float32", rngs=nnx.Rngs(0))
    wq, wk, wv = (np.asarray(w[...], np.float64) for w in (model.wq, model.wk, model.wv))

    def predict(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
        h, q = np.column_stack([x, y]), np.append(query, 0.0)
        return float(0.02 * (q @ wq @ (h @ wk).T @ (h @ wv))[-1])

    return model(_prompt()), np.array([predict(*each) for each in zip(*_problems(), strict=True)])


@case("trained layer: its gradient")
def _gradient_of_a_layer() -> Result:
    model = models.MergedAttention(6, dtype="float32", rngs=nnx.Rngs(0))
    graph: Any
    graph, state = nnx.split(model)
    prompt = _prompt()
    loss = jax.jit(
        lambda weights: jnp.sum((nnx.merge(graph, weights)(prompt) - prompt.query_y) ** 2)
    )
    (gradient,) = jax.tree.leaves(jax.grad(loss)(state))  # at W = 0
    (labels,) = wide(prompt.query_y)
    each = zip(*_problems(), labels, strict=True)
    return gradient, sum(-2.0 * label * np.outer(q, x.T @ y) for x, y, q, label in each)


@case("trained layer: H3")
def _h3() -> Result:
    model = models.H3(6, 50, state_size=4, scale=0.02, dtype="float32", rngs=nnx.Rngs(0))
    wq, wk, wv = (np.asarray(w[...], np.float64) for w in (model.wq, model.wk, model.wv))
    filter: Any = model.filter
    taps = np.asarray(filter.weights[...], np.float64) @ (
        (1 / (1 + np.exp(-np.asarray(filter.decays[...], np.float64))))[:, None]
        ** np.arange(50)[::-1]
    )

    def predict(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
        h, q = np.column_stack([x, y]), np.append(query, 0.0)
        return float(0.02 * np.sum((q @ wq) * (taps @ ((h @ wk) * (h @ wv)))))

    return model(_prompt()), np.array([predict(*each) for each in zip(*_problems(), strict=True)])
