"""Inputs of the trained models, as rows or as Gram matrices, and their predictions by layer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from elsa.attention import gram
from elsa.base import checks
from elsa.tasks import CountedPrompt, GramPrompt, PairPrompt, Prompt

AnyPrompt = Prompt | GramPrompt
SummedPrompt = AnyPrompt | CountedPrompt  # for models that sum over the context's rows


class ByLayer(NamedTuple):
    """The predictions of a model if it ended after each layer, the input first.

    prediction: for the query, [layers + 1, batch]; of a prompt of blocks the matrix that is asked
      for, [layers + 1, batch, height, width].
    w: the weights, where the prompt holds them, [layers + 1, batch, d]; else None.
    """

    prediction: Float[Array, "layers batch *target"]
    w: Float[Array, "layers batch d"] | None


def require_fit(prompt: SummedPrompt, model: nnx.Module, dim: int) -> None:
    """Refuses anything but a batch of prompts with as many covariates as the model has; a
    CountedPrompt where the model has no `takes_counts`.

    Raises:
      ValueError: naming the model, the shape received and the shape expected.
    """
    where = type(model).__name__
    kind, said = AnyPrompt, "a tasks.Prompt or GramPrompt"
    if getattr(model, "takes_counts", False):
        kind, said = SummedPrompt, "a tasks.Prompt, GramPrompt or CountedPrompt"
    checks.instance(where, kind, said, prompt=prompt)
    for name, array in prompt._asdict().items():
        if name != "query_y":  # the label to predict
            checks.instance(where, jax.Array | np.ndarray, "an array", **{name: array})
    if isinstance(prompt, GramPrompt):
        sizes = checks.shapes(
            where, gram=(prompt.gram, "batch m m"), query_x=(prompt.query_x, "batch d")
        )
        context_dim = sizes["m"] - 1
    else:
        sizes = checks.shapes(
            where,
            x=(prompt.x, "batch n d"),
            y=(prompt.y, "batch n"),
            query_x=(prompt.query_x, "batch d"),
            **({"counts": (prompt.counts, "n")} if isinstance(prompt, CountedPrompt) else {}),
        )
        context_dim = sizes["d"]
    if (context_dim, sizes["d"]) != (dim, dim):
        raise ValueError(
            f"{where}: context and query_x must have the model's d = {dim} covariates, got "
            f"{context_dim} and {sizes['d']}"
        )


def rows_of(prompt: AnyPrompt, model: nnx.Module, dim: int) -> Prompt:
    """The prompt, if it has rows and fits the model as `require_fit` says.

    Raises:
      TypeError: for a GramPrompt, naming the model that weighs its rows one by one.
      ValueError: as `require_fit`.
    """
    require_fit(prompt, model, dim)
    if not isinstance(prompt, Prompt):
        name, came = type(model).__name__, type(prompt).__name__
        raise TypeError(f"{name} needs the rows of the context, a Prompt; got a {came}")
    return prompt


def context_gram(prompt: AnyPrompt, precision: str) -> Float[Array, "batch m m"]:
    """[X y]^T [X y] of every context."""
    if isinstance(prompt, GramPrompt):
        return prompt.gram
    return gram.context_gram(prompt.x, prompt.y, precision=precision)


def label_moment(prompt: SummedPrompt) -> Float[Array, "batch d"]:
    """X^T y of every context."""
    if isinstance(prompt, GramPrompt):
        return prompt.gram[:, :-1, -1]
    y = prompt.y * prompt.counts[None, :] if isinstance(prompt, CountedPrompt) else prompt.y
    return jnp.einsum("bnd,bn->bd", prompt.x, y)


def query_row(prompt: SummedPrompt | PairPrompt) -> Float[Array, "batch m"]:
    """The query's token [x, 0]."""
    return jnp.pad(prompt.query_x, ((0, 0), (0, 1)))
