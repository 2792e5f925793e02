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
from elsa.base.jit import jitted
from elsa.base.precision import exact
from elsa.tasks import Prompt
from experiments.trained.by_value import ByValue

RIDGE, DESCENT, WEIGHTS = "ridge", "gradient_descent", "w"  # watched/<one of these>/<layer or step>
_STREAM = 7  # of the prompts that are watched, below the seed
_KEPT = 32  # results of each kind; the points of a sweep mostly share a task

Watched = dict[str, Any]  # name -> number


def watch(
    seed: int, num_prompts: int, lam: float, step_size: float
) -> Callable[[Any, Any], Watched]:
    """A function of a model and its task to its distances, on prompts that stay the same.

    ridge/k: |f_k - f_ridge| / |f_ridge| over the prompts, f_k the predictions if the model ended
    after layer k.  w/k: the same of the weights, where the prompt holds them.
    gradient_descent/k: |f_t - g_t| / |f_ridge| with g_t those of t steps of gradient descent, t the
    step that layer k ends, where it ends one.

    Args:
      seed: of the prompts.
      num_prompts: how many.
      lam: ridge's regulariser.
      step_size: of gradient descent on the mean over the examples.
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
        for step, layer in enumerate(_layers_of_steps(model, len(answers.prediction))):
            descent = _descent(prompt, step, step_size, lam)
            gap = jnp.linalg.norm(answers.prediction[layer] - descent)
            found[f"{DESCENT}/{layer}"] = gap / jnp.linalg.norm(ridge)
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


def descent_to_ridge(
    task: Any, seed: int, num_prompts: int, lam: float, step_size: float, steps: int
) -> list[float]:
    """The distance of gradient descent itself to ridge after 0 .. steps steps."""
    return list(_descent_to_ridge(ByValue(task), seed, num_prompts, lam, step_size, steps))


@functools.lru_cache(maxsize=_KEPT)
def _descent_to_ridge(
    asked: ByValue, seed: int, num_prompts: int, lam: float, step_size: float, steps: int
) -> tuple[float, ...]:
    prompt = asked.task.sample(jax.random.fold_in(jax.random.key(seed), _STREAM), num_prompts)
    ridge = predictors.ridge(prompt, lam)
    answers = (_descent(prompt, step, step_size, lam) for step in range(steps + 1))
    return tuple(float(_distance(answer, ridge)) for answer in answers)


def risk_of_ridge(task: Any, seed: int, num_prompts: int, lam: float) -> tuple[float, float]:
    """The mean squared error of ridge regression on fresh prompts, and its standard error."""
    return _risk_of_ridge(ByValue(task), seed, num_prompts, lam)


@functools.lru_cache(maxsize=_KEPT)
def _risk_of_ridge(asked: ByValue, seed: int, num_prompts: int, lam: float) -> tuple[float, float]:
    batch = min(num_prompts, 10_000)
    root = jax.random.fold_in(jax.random.key(seed), _STREAM + 1)
    calls = range(math.ceil(num_prompts / batch))
    drawn = [_squares(asked.task, jax.random.fold_in(root, call), batch, lam) for call in calls]
    errors = np.concatenate([np.asarray(part, np.float64) for part in drawn])
    return float(errors.mean()), float(errors.std(ddof=1) / math.sqrt(len(errors)))


@jitted("batch", "lam")
def _squares(task: Any, key: Array, batch: int, lam: float) -> Array:
    prompt = task.sample(key, batch)
    squares: Array = (predictors.ridge(prompt, lam) - prompt.query_y) ** 2
    return squares


def _descent(prompt: Prompt, steps: int, step_size: float, lam: float) -> Array:
    """Steps on the mean over the examples; the library's are on the sum."""
    return predictors.gradient_descent(prompt, steps, step_size / prompt.x.shape[1], lam)


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
