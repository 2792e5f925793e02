"""A batch of in-context problems, row by row or as Gram matrices, and the protocol of tasks."""

from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from elsa.base import checks
from elsa.base.precision import exact


class Prompt(NamedTuple):
    """Context and query of a batch of tasks.

    x: covariates of the context, [batch, n, d].
    y: their labels, [batch, n].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    x: Float[Array, "batch n d"]
    y: Float[Array, "batch n"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]


class GramPrompt(NamedTuple):
    """A batch of prompts whose contexts are reduced to all that bias-free linear attention reads.

    gram: [X y]^T [X y], a sum over the context's rows, not a mean; [batch, d + 1, d + 1].
    query_x: covariates of the query, [batch, d].
    query_y: its label, [batch].
    """

    gram: Float[Array, "batch d+1 d+1"]
    query_x: Float[Array, "batch d"]
    query_y: Float[Array, " batch"]


@runtime_checkable
class Task(Protocol):
    """The interface of every task: its sizes, and prompts drawn from a key.

    cuts: whether `keep_last` leaves a task of this kind, so that one program can serve a sweep over
      context lengths.

    A class may also have `sweeps`, names that a sweep may vary besides its fields, and
    `from_config(where, given)`, where a config may describe a task more briefly than by its fields.
    """

    cuts: ClassVar[bool]

    @property
    def dim(self) -> int:
        """d."""

    @property
    def context_length(self) -> int:
        """n."""

    @property
    def has_gram(self) -> bool:
        """Whether `sample_gram` can draw the Gram matrix without drawing the rows."""

    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts; equal keys give equal prompts."""

    def sample_gram(
        self, key: Array, batch: int, length: int | Int[Array, ""] | None = None
    ) -> GramPrompt:
        """A batch of Gram matrices at a cost that does not depend on the context's length."""


class RowsOnly:
    """A task whose Gram matrix has no sampler of its own."""

    @property
    def has_gram(self) -> bool:
        """False: rows have to be drawn; `gram_prompt` reduces them."""
        return False

    def sample_gram(
        self, key: Array, batch: int, length: int | Int[Array, ""] | None = None
    ) -> GramPrompt:
        """Raises ValueError, naming the way out."""
        raise ValueError(
            f"{type(self).__name__}.sample_gram: the covariates must be normal given the task; "
            "use gram_prompt(task.sample(key, batch))"
        )


@exact
def gram_prompt(prompt: Prompt) -> GramPrompt:
    """[X y]^T [X y] of every prompt, from its rows.

    Raises:
      ValueError: for shapes that do not fit.
    """
    sizes_of("gram_prompt", prompt)
    rows_BxNxM = jnp.concatenate([jnp.asarray(prompt.x), jnp.asarray(prompt.y)[:, :, None]], axis=2)
    gram_BxMxM = jnp.einsum("bni,bnj->bij", rows_BxNxM, rows_BxNxM)
    return GramPrompt(gram_BxMxM, jnp.asarray(prompt.query_x), jnp.asarray(prompt.query_y))


def keep_last(prompt: Prompt, length: int | Int[Array, ""]) -> Prompt:
    """The same prompts with all but the last `length` context rows set to zero, x and y.

    A zero row adds nothing to X^T X and X^T y, so that one program serves a sweep over context
    lengths, `length` being traced. The result is distributed as the task of that length, padded
    with zeros, wherever the rows are exchangeable given the task (linear regression, retrieval,
    alignment, rows of a table) and where they are a stationary sequence that ends with the query
    (drift: the last are the nearest): the tasks whose `cuts` is True. It is not for
    `PrescribedSpectrum`, whose rows have the prescribed condition number only all together.

    Args:
      prompt: with n rows.
      length: 0 to n; may be a tracer.

    Raises:
      TypeError, ValueError: for shapes that do not fit, or a concrete length that is not an integer
        from 0 to n.
    """
    kept = last_rows("keep_last", sizes_of("keep_last", prompt)["n"], length)
    return prompt._replace(
        x=jnp.where(kept[None, :, None], jnp.asarray(prompt.x), 0),
        y=jnp.where(kept[None, :], jnp.asarray(prompt.y), 0),
    )


def last_rows(where: str, rows: int, length: int | Int[Array, ""]) -> Bool[Array, " rows"]:
    """True for the last `length` of so many rows.

    Raises:
      TypeError, ValueError: for a concrete length that is not an integer from 0 to `rows`.
    """
    if checks.is_concrete(length):
        length = whole_number(where, length, 0)
        if length > rows:
            raise ValueError(f"{where}: length must be at most n={rows}, got {length}")
    return jnp.arange(rows) >= rows - length


def whole_number(where: str, length: int | Int[Array, ""], bound: int) -> int:
    """A concrete length, also one that jax or NumPy holds, as an int of at least the bound."""
    value = length.item() if hasattr(length, "item") and jnp.ndim(length) == 0 else length
    checks.size(where, length=(value, bound))
    return int(value)


def sizes_of(where: str, prompt: Prompt) -> dict[str, int]:
    """batch, n and d of a prompt.

    Raises:
      TypeError, ValueError: for anything else, or shapes that do not fit.
    """
    checks.instance(where, Prompt, "a Prompt", prompt=prompt)
    return checks.shapes(
        where,
        x=(prompt.x, "batch n d"),
        y=(prompt.y, "batch n"),
        query_x=(prompt.query_x, "batch d"),
        query_y=(prompt.query_y, "batch"),
    )
