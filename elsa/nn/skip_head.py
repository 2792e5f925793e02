"""The skip as one more head of an ELSA layer, which returns the prompt."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa import heads
from elsa.base import checks
from elsa.heads.head import HeadWeights, stack_dense
from elsa.nn.layers import ELSA


def with_skip_head(layer: nnx.Module) -> ELSA:
    """The ELSA layer with one more head, which returns the prompt.

    Raises:
      ValueError: where the layer is not an ELSA layer, as only biases let a head return its input.
    """
    if not isinstance(layer, ELSA):
        raise ValueError(
            f"Stack: skip='head' needs layers with biases (ELSA), got {type(layer).__name__}; "
            "use skip='residual'"
        )
    shape = (layer.bv.shape[-2], layer.bv.shape[-1])
    extra = stack_dense([heads.skip(shape)], shape)
    key_size = max(layer.wq.shape[-1], extra.wq.shape[-1])
    grown = {}
    for name in HeadWeights._fields:
        weights = getattr(layer, name)[...]
        # NumPy where there are numbers: jax would compile the steps for every shape
        xp = np if checks.is_concrete(weights) else jnp
        weights, new = xp.asarray(weights), xp.asarray(getattr(extra, name), weights.dtype)
        if name != "wv" and name != "bv":
            weights, new = _padded(weights, key_size, xp), _padded(new, key_size, xp)
        new = xp.broadcast_to(new, (*weights.shape[:-3], *new.shape))
        grown[name] = nnx.Param(jnp.asarray(xp.concatenate([weights, new], axis=-3)))
    graph, state = nnx.split(layer)
    copy = nnx.merge(graph, state)
    for name, value in grown.items():
        setattr(copy, name, value)
    return copy


def _padded(array: Any, width: int, xp: Any) -> Any:
    return xp.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])])
