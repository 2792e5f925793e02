"""Trained linear-attention models as plain stacks of LSA layers, to run, inspect and export.

A trained model masks its queries out of the context. A stack has no mask, so that queries get
channels of their own: keys and values read the context's channels only, where a query's row is
zero, and the stack computes exactly what the model does.

    H = [ X y 0 0 ]     context rows:  c + (c A)(C^T C V)             C = [X y]
        [ 0 0 Q 0 ]     query rows:    q + (q D A)(C^T C V D)         D = diag(1, .., 1, sign)

with A = Wq Wk^T and V = Wv of the model's layer. The sign turns a residual stream's minus
prediction (`readout.from_residual_stream`) into the prediction.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.heads.head import Head, Term
from elsa.models import (
    LinearAttention,
    LinearTransformer,
    LoraAttention,
    LowRankAttention,
    MergedAttention,
)
from elsa.nn import LSA, BlockStack, Stack
from elsa.prompts.layout import BlockLayout
from elsa.tasks import Prompt

_MERGED = (MergedAttention, LowRankAttention, LoraAttention)


class _Layer(NamedTuple):
    """A = Wq Wk^T and V = Wv of a layer's heads, [heads, m, m]."""

    query_key: np.ndarray
    value: np.ndarray


def attention_stack(model: Any, context_length: int, *, num_queries: int = 1) -> BlockStack:
    """The stack of LSA layers that predicts what a trained model predicts.

    Args:
      model: a LinearTransformer, LinearAttention, or one of the merged forms.
      context_length: n, rows of the context.
      num_queries: queries that are answered at once; they do not see each other.

    Returns:
      A stack with inputs X (n, d), y (n, 1), query_x (num_queries, d), output prediction
      (num_queries, 1), in the model's dtype; `elsa.export` writes it to a file.

    Raises:
      TypeError: for a model that is not a linear attention over the context.
      ValueError: for sizes below 1 or weights that are not finite.
    """
    where = "attention_stack"
    checks.size(where, context_length=(context_length, 1), num_queries=(num_queries, 1))
    layers, sign, dtype = _layers_of(model)
    channels = layers[0].value.shape[-1]
    dim, rows = channels - 1, context_length + num_queries
    layout = BlockLayout(
        {
            "X": (0, 0, context_length, dim),
            "y": (0, dim, context_length, 1),
            "query_x": (context_length, channels, num_queries, dim),
        },
        shape=(rows, 2 * channels),
    )
    answer = (context_length, channels + dim, num_queries, 1)
    readout = BlockLayout({"prediction": answer}, shape=layout.shape)
    heads = [
        _heads(layer, sign, last=index == len(layers) - 1) for index, layer in enumerate(layers)
    ]
    modules = [LSA.from_heads(layer_heads, layout.shape, dtype=dtype) for layer_heads in heads]
    stack = Stack(modules[-1:], 1, prologue=modules[:-1])
    name = type(model).__name__
    reference = functools.partial(_predictions, model)
    return BlockStack(stack, layout, readout, heads, name=name, reference=reference)


def _predictions(model: Any, X: Array, y: Array, query_x: Array) -> dict[str, Array]:
    """What the model itself predicts for each query, on a context that all share."""
    batch = len(query_x)
    x, labels = (jnp.broadcast_to(part, (batch, *part.shape)) for part in (X, y[:, 0]))
    prompt = Prompt(x, labels, query_x, jnp.zeros(batch, X.dtype))
    return {"prediction": model(prompt)[:, None]}


def _heads(layer: _Layer, sign: float, *, last: bool) -> list[Head]:
    """The heads of one layer: on the queries, and unless nothing reads them after, the context."""
    channels = layer.value.shape[-1]
    context, query = range(channels), range(channels, 2 * channels)
    flip = np.ones(channels)
    flip[-1] = sign
    made = []
    for query_key, value in zip(layer.query_key, layer.value, strict=True):
        key = (Term("channels", context, np.eye(channels)),)
        values = (Term("channels", context, value * flip[None, :]),)
        asks = (Term("channels", query, flip[:, None] * query_key),)
        made.append(Head("queries: q A C^T C V", asks, key, values, query))
        if not last:
            queries = (Term("channels", context, query_key),)
            plain = (Term("channels", context, value),)
            made.append(Head("context: C A C^T C V", queries, key, plain, context))
    return made


def _layers_of(model: Any) -> tuple[list[_Layer], float, Any]:
    """A model's layers, the sign of its readout, its dtype."""
    if isinstance(model, LinearTransformer):
        weights = zip(_float64(model.query_key), _float64(model.value), strict=True)
        return [_Layer(*pair) for pair in weights], -1.0, model.p.dtype
    if isinstance(model, LinearAttention):
        # the layer's residual is not part of the prediction: only the label channel is written
        value = np.zeros_like(_float64(model.wv[...]))
        value[:, -1] = _float64(model.wv[...])[:, -1]
        return [_Layer(_float64(model.query_key)[None], value[None])], 1.0, model.wq.dtype
    if isinstance(model, _MERGED):
        weight = _float64(model.preconditioner)
        query_key = np.pad(weight, ((0, 1), (0, 1)))
        value = np.zeros_like(query_key)
        value[-1, -1] = 1.0
        return [_Layer(query_key[None], value[None])], 1.0, model.preconditioner.dtype
    raise TypeError(
        "attention_stack: model must be a LinearTransformer, LinearAttention, MergedAttention, "
        f"LowRankAttention or LoraAttention, got {type(model).__name__}"
    )


def _float64(array: Any) -> np.ndarray:
    return np.asarray(array, np.float64)
