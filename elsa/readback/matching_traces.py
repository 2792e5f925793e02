"""What a stack or a model predicts after each step, and how that depends on the query."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa import models
from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.base.precision import exact
from elsa.nn import inside
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_layers import program
from elsa.tasks import Prompt

_NUDGE = 1e-4  # of a query, for a derivative, over its largest entry


class Trace(NamedTuple):
    """By step, the start first.

    predictions: for the queries of a batch of prompts.
    sensitivities: their derivatives by the query, d prediction / d query_x.
    """

    predictions: Float[np.ndarray, "moments batch"]
    sensitivities: Float[np.ndarray, "moments batch d"]


def trace(subject: Any, prompt: Prompt, blocks: Mapping[str, AnyShape]) -> Trace:
    """Of a stack between named blocks, or of a model of `elsa.models`.

    Raises:
      TypeError: for what is neither. ValueError: for a stack without X and y, or without an answer.
    """
    if isinstance(subject, BlockStack):
        return _of_stack(subject, prompt, blocks)
    checks.instance("algorithm_match", Callable, "a stack or a model", model=subject)
    return _of_model(subject, prompt)


@exact
def _of_model(model: Any, prompt: Prompt) -> Trace:
    """One gradient for each layer: a prediction depends on the query of its own prompt alone."""

    def answers(query_x: Array) -> Array:
        found: Array = models.by_layer(model, prompt._replace(query_x=query_x)).prediction
        return found

    query = jnp.asarray(prompt.query_x)
    if not jnp.issubdtype(query.dtype, jnp.floating):  # integers have no slope
        query = query.astype(jnp.result_type(float))
    predictions = answers(query)
    slopes = jax.jacrev(lambda query_x: answers(query_x).sum(axis=1))(query)
    return Trace(np.asarray(predictions, np.float64), np.asarray(slopes, np.float64))


def _of_stack(stack: BlockStack, prompt: Prompt, blocks: Mapping[str, AnyShape]) -> Trace:
    stack.require_weights("algorithm_match")
    absent = [name for name in ("X", "y") if name not in stack.inputs]
    answer = next((name for name in ("w", "prediction") if name in stack.outputs), None)
    if absent or answer is None:
        raise ValueError(
            "algorithm_match: a stack must take X and y and return w or prediction, got inputs "
            f"{list(stack.inputs)} and outputs {list(stack.outputs)}"
        )
    x, y, query = (np.asarray(a, np.float64) for a in prompt[:3])
    batch, dim = query.shape
    if answer == "w":
        w = _answers(stack, answer, (x, y, query), blocks)
        return Trace(np.einsum("tbd,bd->tb", w, query), w)
    nudge = _NUDGE * max(float(np.abs(query).max()), 1e-12)
    moves = np.concatenate([np.zeros((1, dim)), nudge * np.eye(dim), -nudge * np.eye(dim)])
    many = len(moves)
    asked = (query[:, None] + moves).reshape(batch * many, dim)
    rows = (np.repeat(x, many, axis=0), np.repeat(y, many, axis=0), asked)
    found = _answers(stack, answer, rows, blocks)[..., 0].reshape(-1, batch, many)
    slopes = (found[..., 1 : 1 + dim] - found[..., 1 + dim :]) / (2.0 * nudge)
    return Trace(found[..., 0], slopes)


@exact
def _answers(
    stack: BlockStack,
    answer: str,
    prompts: tuple[np.ndarray, np.ndarray, np.ndarray],
    blocks: Mapping[str, AnyShape],
) -> np.ndarray:
    """The answer on every prompt after each step, [steps + 1, batch, size]."""
    x, y, query = prompts
    batch = len(x)
    own = {name: np.zeros((batch, *shape)) for name, shape in stack.inputs.items()}
    own |= {n: np.broadcast_to(np.asarray(b), own[n].shape) for n, b in blocks.items()}
    own["X"], own["y"] = x, y.reshape(own["y"].shape)
    if "query_x" in own:
        own["query_x"] = np.broadcast_to(query[:, None], own["query_x"].shape)
    given = inside.batch_of_blocks(stack, own)
    box, h = stack.readout.box(answer), np.asarray(inside.packed_batch(stack, given), np.float64)
    with np.errstate(all="ignore"):
        layers = program(stack.stack, inside.layers_of(stack.stack))
        seen = layers.boundaries(h, layers.depth)
    read = [h[:, box.row : box.rows.stop, box.col : box.channels.stop] for h in seen]
    return np.array([inside.answer_of_batch(stack, answer, one, given) for one in read])
