"""The predictions of any model if it ended after each of its layers."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from elsa.base import checks
from elsa.models.inputs import AnyPrompt, ByLayer
from elsa.tasks import BlockPrompt


def by_layer(model: Any, prompt: AnyPrompt | BlockPrompt) -> ByLayer:
    """The predictions after each layer, the input first; the weights where the model holds them.

    A model without a method `by_layer` counts as one layer, before which it predicts 0.

    Raises:
      TypeError, ValueError: as a call of the model.
    """
    checks.instance("by_layer", Callable, "a model", model=model)
    if hasattr(model, "by_layer"):
        answered: ByLayer = model.by_layer(prompt)
        return answered
    last = model(prompt)
    return ByLayer(jnp.stack([jnp.zeros_like(last), last]), None)
