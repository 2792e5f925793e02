"""Stacks with biases as stacks without, on prompts that carry the roles of their rows."""

from collections.abc import Sequence

import numpy as np

from elsa import attention
from elsa.base import checks
from elsa.heads.head import HeadWeights
from elsa.nn.attention_heads import AttentionHeads
from elsa.nn.layers import ELSA, LSA
from elsa.nn.stack import Stack


def without_biases(stack: Stack) -> Stack:
    """The stack of LSA layers that does on [H | R] what a stack of LSA and ELSA layers does on H.

    Its first m channels are the stack's, and R stays what it is, at every depth, tied or not:
    `attention.without_biases` layer by layer. R is the roles for layers whose biases belong to
    roles, and I_n for biases by position; `attention.with_roles` widens the prompt.

    With a skip head, which returns H alone, one head more returns R = R R^T R.

    Args:
      stack: with layers whose biases have equally many rows; LSA layers take part as such.

    Raises:
      TypeError: for what is no `Stack`, or layers that are neither LSA nor ELSA.
      ValueError: where there are no biases, or biases with different numbers of rows.
    """
    where = "without_biases"
    checks.instance(where, Stack, "a Stack", stack=stack)
    parts = {"prologue": stack.prologue, "body": stack.body, "epilogue": stack.epilogue}
    layers = [layer for part in parts.values() for layer in part]
    for layer in layers:
        checks.instance(where, AttentionHeads, "LSA or ELSA layers", layer=layer)
    counts = {layer.bv.shape[-2] for layer in layers if isinstance(layer, ELSA)}
    if len(counts) != 1:
        got = f"biases of {sorted(counts)} rows" if counts else "layers without biases"
        raise ValueError(f"{where}: stack must have biases with one number of rows, got {got}")
    roles = counts.pop()
    prologue, body, epilogue = (
        [_widened(layer, roles, keeps=stack.skip == "head") for layer in part]
        for part in parts.values()
    )
    made = Stack(body, stack.depth, tied=stack.tied, prologue=prologue, epilogue=epilogue)
    made.skip = stack.skip  # a skip head is among the weights already
    return made


def _widened(layer: AttentionHeads, roles: int, *, keeps: bool) -> LSA:
    """The layer on [H | R]; `keeps` adds the head that returns R."""
    own = layer.weights
    lead, (channels, key_size) = own.wq.shape[:-2], own.wq.shape[-2:]
    biases = own[3:]
    if not isinstance(layer, ELSA):
        keys = np.zeros((*lead, roles, key_size))
        biases = (keys, keys, np.zeros((*lead, roles, channels)))
    arrays = [np.asarray(a) for a in attention.without_biases(*own[:3], *biases)]
    if keeps:
        arrays = _with_head(arrays, np.eye(channels + roles)[:, channels:])
    empty = [np.zeros((*lead[:-1], 1, 0, 0))] * 3
    return LSA.from_weights(
        HeadWeights(*arrays, *empty), dtype=layer.wq.dtype, precision=layer.precision
    )


def _with_head(arrays: Sequence[np.ndarray], select: np.ndarray) -> list[np.ndarray]:
    """The heads and one more, (H S)(H S)^T (H S) S^T for the channels that S selects."""
    query, key, value = arrays
    width = max(query.shape[-1], select.shape[1])
    factors = [
        np.pad(factor, [(0, 0)] * (factor.ndim - 1) + [(0, width - factor.shape[-1])])
        for factor in (query, key)
    ]
    narrow = np.pad(select, [(0, 0), (0, width - select.shape[1])])
    added = [narrow, narrow, select @ select.T]
    return [
        np.concatenate([old, np.broadcast_to(new, (*old.shape[:-3], 1, *new.shape))], axis=-3)
        for old, new in zip([*factors, value], added, strict=True)
    ]
