"""What the trained models take, a prompt as rows or its Gram matrix, and what they answer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from elsa.attention import gram
from elsa.base import checks
from elsa.tasks import GramPrompt, Prompt

AnyPrompt = Prompt | GramPrompt


class ByLayer(NamedTuple):
    """What a model would answer if it ended after each layer, the input first.

    prediction: for the query, [layers + 1, batch]; of a prompt of blocks the matrix that is asked
      for, [layers + 1, batch, height, width].
    w: the weights, where the prompt holds them, [layers + 1, batch, d]; else None.
    """

    prediction: Float[Array, "layers batch *target"]
    w: Float[Array, "layers batch d"] | None


def require_fit(prompt: AnyPrompt, model: nnx.Module, dim: int) -> None:
    """Refuses what is no batch of prompts, or has another number of covariates than the model.

    Raises:
      ValueError: naming the model, what came and what was expected.
    """
    where = type(model).__name__
    checks.instance(where, Prompt | GramPrompt, "a tasks.Prompt or GramPrompt", prompt=prompt)
    for name, array in prompt._asdict().items():
        if name != "query_y":  # the label that is asked for
            checks.instance(where, jax.Array | np.ndarray, "an array", **{name: array})
    if isinstance(prompt, GramPrompt):
        sizes = checks.shapes(
            where, gram=(prompt.gram, "batch m m"), query_x=(prompt.query_x, "batch d")
        )
        came = sizes["m"] - 1
    else:
        sizes = checks.shapes(
            where,
            x=(prompt.x, "batch n d"),
            y=(prompt.y, "batch n"),
            query_x=(prompt.query_x, "batch d"),
        )
        came = sizes["d"]
    if (came, sizes["d"]) != (dim, dim):
        raise ValueError(
            f"{where}: context and query must have the model's d = {dim} covariates, got {came} "
            f"and {sizes['d']}"
        )


def rows_of(prompt: AnyPrompt, model: nnx.Module, dim: int) -> Prompt:
    """The prompt, if it has rows and fits the model as `require_fit` says.

    Raises:
      TypeError: for a GramPrompt, naming the model that weighs its rows one by one.
      ValueError: as `require_fit`.
    """
    require_fit(prompt, model, dim)
    if isinstance(prompt, GramPrompt):
        name = type(model).__name__
        raise TypeError(f"{name} needs the rows of the context, a Prompt; got a GramPrompt")
    return prompt


def context_gram(prompt: AnyPrompt, precision: str) -> Float[Array, "batch m m"]:
    """[X y]^T [X y] of every context."""
    if isinstance(prompt, GramPrompt):
        return prompt.gram
    return gram.context_gram(prompt.x, prompt.y, precision=precision)


def label_moment(prompt: AnyPrompt) -> Float[Array, "batch d"]:
    """X^T y of every context."""
    if isinstance(prompt, GramPrompt):
        return prompt.gram[:, :-1, -1]
    return jnp.einsum("bnd,bn->bd", prompt.x, prompt.y)


def query_row(prompt: AnyPrompt) -> Float[Array, "batch m"]:
    """The query's token [x, 0]."""
    return jnp.pad(prompt.query_x, ((0, 0), (0, 1)))
