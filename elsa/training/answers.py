"""How far predictions are from what was asked for: the one place that knows residuals."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from elsa.base.precision import products_at
from elsa.training import contracts, kinds


def residuals(where: str, model: Any, prompt: Any, precision: str) -> Float[Array, "batch *target"]:
    """Predictions minus what the prompts ask for.

    A model of the caller's, which has no precision of its own, is run at the run's, too.

    Raises:
      TypeError: for anything but an array. ValueError: for predictions of another shape.
    """
    with products_at(where, precision):
        predicted: Array = model(prompt)
    target = kinds.KINDS[type(prompt)].target(prompt)
    contracts.check_answer(model, predicted)
    contracts.check_predictions(model, predicted.shape, target.shape)
    return predicted - target


def squares(found: Float[Array, "batch *target"]) -> Float[Array, " batch"]:
    """The squared error of every prompt: summed over the entries of a matrix."""
    return jnp.sum(found**2, axis=_entries(found))


def sizes(found: Float[Array, "batch *target"]) -> Float[Array, " batch"]:
    """The roots of `squares`, which do not overflow where these do."""
    axes = _entries(found)
    largest = jnp.max(jnp.abs(found), axis=axes, keepdims=True)
    safe = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    norms: Array = safe.reshape(-1) * jnp.sqrt(squares(found / safe))
    return norms if axes else jnp.abs(found)


def _entries(found: Array) -> tuple[int, ...]:
    return tuple(range(1, found.ndim))
