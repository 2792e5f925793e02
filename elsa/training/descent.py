"""The optimiser: the loss, Adam without its learning rate, and the rate along training."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from elsa.training.settings import TrainSettings


def huber(residuals: Float[Array, "batch *target"], delta: float) -> Float[Array, ""]:
    """Mean of r^2 where |r| <= delta, and of its tangent 2 delta |r| - delta^2 beyond; where the
    residual is a matrix, summed over its entries."""
    size = jnp.abs(residuals)
    inside = jnp.minimum(size, delta)  # no square of a large residual, which may overflow
    each = inside**2 + 2.0 * delta * (size - inside)
    return jnp.mean(each.sum(axis=tuple(range(1, each.ndim))))


def finite_mean(losses: Float[Array, "steps *models"]) -> Float[Array, "*models"]:
    """The mean over the steps whose loss is finite; NaN where none is."""
    finite = jnp.isfinite(losses)
    total = jnp.where(finite, losses, 0.0).sum(axis=0)
    return jnp.where(finite.any(axis=0), total / jnp.maximum(finite.sum(axis=0), 1), jnp.nan)


def transform(train: TrainSettings) -> optax.GradientTransformation:
    """Adam without its learning rate, which differs between the points of a sweep."""
    clip = [optax.clip_by_global_norm(train.max_gradient_norm)] if train.max_gradient_norm else []
    return optax.chain(*clip, optax.scale_by_adam(b2=train.adam_b2))


def schedule(train: TrainSettings) -> optax.Schedule:
    """The learning rate as a share of its highest value."""
    rest = max(train.num_steps - train.warmup, 1)
    falls = (
        optax.cosine_decay_schedule(1.0, rest)
        if train.decay == "cosine"
        else optax.constant_schedule(1.0)
    )
    if not train.warmup:
        return falls
    rises = optax.linear_schedule(1.0 / (train.warmup + 1), 1.0, train.warmup)
    return optax.join_schedules([rises, falls], [train.warmup])


def averaged(steps: Array, params: Any, mean: Any, active: Bool[Array, ""]) -> Any:
    """The mean of a model's weights with those after one more step.

    Args:
      steps: averaged so far.
      params, mean: the weights after the step, and the mean of those before; equal trees.
      active: whether the model still moves; else its mean stays.
    """
    count = jnp.maximum(steps + 1, 1)

    def of_leaf(new: Array, old: Array) -> Array:
        share = 1.0 / count.astype(new.dtype)
        # a change of the old mean, so that rounding does not pile up over many steps
        return jnp.where(active, jnp.where(count > 1, old + share * (new - old), new), old)

    return jax.tree.map(of_leaf, params, mean)
