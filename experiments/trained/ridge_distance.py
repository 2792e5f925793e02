"""How far a model's answers are from ridge regression's, layer by layer."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa import models, predictors
from elsa.base.precision import exact
from elsa.tasks import Prompt
from elsa.training import compiling
from experiments.trained.by_value import ByValue
from experiments.trained.plain import Plain

RIDGE, WEIGHTS, PLAIN = "ridge", "w", "plain"  # watched/<one of these, or an algorithm>/<layer>
_STREAM = 7  # of the prompts that are watched, below the seed
_KEPT = 32  # risks of ridge; the points of a sweep mostly share a task

Watched = dict[str, Any]  # name -> number


def watch(
    seed: int, num_prompts: int, lam: float, algorithm: Plain
) -> Callable[[Any, Any], Watched]:
    """A function of a model and its task to its distances, on prompts that stay the same.

    ridge/k: |f_k - f_ridge| / |f_ridge| over the prompts, f_k the predictions if the model ended
    after layer k.  w/k: the same of the weights, where the prompt holds them.
    ALGORITHM/k: |f_k - g_t| / |f_ridge| with g_t those of t steps of the algorithm, t the step that
    layer k ends, where it ends one.  plain/k: |g_t - f_ridge| / |f_ridge|, which no training moves.

    Args:
      seed: of the prompts.
      num_prompts: how many.
      lam: ridge's regulariser.
      algorithm: that the layers are set beside.
    """

    def look(model: Any, task: Any) -> Watched:
        key = jax.random.fold_in(jax.random.key(seed), _STREAM)
        prompt = prompts(task, key, num_prompts, model)
        answers = models.by_layer(model, prompt)
        ridge = predictors.ridge(prompt, lam)
        found = {
            f"{RIDGE}/{layer}": _distance(predicted, ridge)
            for layer, predicted in enumerate(answers.prediction)
        }
        layers = _layers_of_steps(model, len(answers.prediction))
        plain = algorithm.answers(prompt, len(layers) - 1)
        for step, layer in list(enumerate(layers))[algorithm.first :]:
            gap = jnp.linalg.norm(answers.prediction[layer] - plain[step])
            found[f"{algorithm.name}/{layer}"] = gap / jnp.linalg.norm(ridge)
            found[f"{PLAIN}/{layer}"] = _distance(plain[step], ridge)
        n, dim = prompt.x.shape[1:]
        if answers.w is not None and (lam > 0 or n >= dim):
            best = jax.vmap(lambda x, y: predictors.ridge_weights(x, y, lam))(
                prompt.x, prompt.y[..., None]
            )[..., 0]
            found |= {f"{WEIGHTS}/{k}": _distance(w, best) for k, w in enumerate(answers.w)}
        return found

    return look


@exact
def prompts(task: Any, key: Array, number: int, model: Any) -> Prompt:
    """Prompts of a task in the dtype of a model."""
    (dtype,) = {leaf.dtype for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")} or {
        jnp.result_type(float)
    }
    drawn: Prompt = jax.tree.map(lambda leaf: leaf.astype(dtype), task.sample(key, number))
    return drawn


def risk_of_ridge(
    task: Any, seed: int, num_prompts: int, lam: float, *, optimise: bool = True
) -> tuple[float, float]:
    """The mean squared error of ridge regression on fresh prompts, and its standard error."""
    return _risk_of_ridge(ByValue(task), seed, num_prompts, lam, optimise)


@functools.lru_cache(maxsize=_KEPT)
def _risk_of_ridge(
    asked: ByValue, seed: int, num_prompts: int, lam: float, optimise: bool
) -> tuple[float, float]:
    batch = min(num_prompts, 10_000)
    draw = _squares(optimise)
    root = jax.random.fold_in(jax.random.key(seed), _STREAM + 1)
    calls = range(math.ceil(num_prompts / batch))
    drawn = [draw(asked.task, jax.random.fold_in(root, call), batch, lam) for call in calls]
    errors = np.concatenate([np.asarray(part, np.float64) for part in drawn])
    return float(errors.mean()), float(errors.std(ddof=1) / math.sqrt(len(errors)))


@functools.cache  # tasks of one kind and size share a program
def _squares(optimise: bool) -> Callable[[Any, Array, int, float], Array]:
    def squares(task: Any, key: Array, batch: int, lam: float) -> Array:
        prompt: Prompt = task.sample(key, batch)
        return (predictors.ridge(prompt, lam) - prompt.query_y) ** 2

    compiled: Callable[[Any, Array, int, float], Array] = jax.jit(
        squares, static_argnums=(2, 3), compiler_options=compiling.options(optimise)
    )
    return compiled


def _distance(found: Array, wanted: Array) -> Array:
    distance: Array = jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted)
    return distance


def _layers_of_steps(model: Any, boundaries: int) -> range:
    """The layer after which each step ends: every layer, but in stacks of several layers a step."""
    stack = getattr(model, "stack", None)
    if stack is None:
        return range(boundaries)
    first = len(stack.prologue)
    return range(first, boundaries, len(stack.body)) if stack.depth else range(first, first + 1)
