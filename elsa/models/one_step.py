"""One step of preconditioned gradient descent as a model: the merged forms of linear attention."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import Rows
from elsa.base.precision import EXACT, at_own_precision, exact, known
from elsa.models.inputs import SummedPrompt, label_moment, require_fit

_SMALL = 32  # dimensions up to which B d^2 numbers are no burden


class Fixed(nnx.Variable[Array]):
    """A number or array that training leaves alone."""


class MergedAttention(nnx.Module):
    """Linear attention with its weights multiplied out.

        f = scale <query_x, W X^T y>

    What one layer of linear attention can do at best when context and query are uncorrelated with
    their noise (Li, Rawat, Oymak, arXiv:2407.10005, prop. 1). Starts at W = 0.

    Args:
      dim: d.
      scale: multiplies the sum over the context; 1/n keeps W near 1 whatever n. It stays whatever
        the length of a call's prompts; `Trained.model(context_length=m)` has 1/m.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: not drawn from; taken so that every model is built alike.

    Raises:
      ValueError, TypeError: for a dimension below 1 or a scale that is not above 0.
    """

    takes_gram = True
    takes_counts = True
    weighs_rows = False

    def __init__(
        self,
        dim: int,
        *,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if rngs is not None:
            checks.instance("MergedAttention", nnx.Rngs, "an nnx.Rngs or None", rngs=rngs)
        checks.size("MergedAttention", dim=(dim, 1))
        checks.positive("MergedAttention", scale=scale)
        kind = checks.float_dtype("MergedAttention", dtype)
        self.precision = known("MergedAttention", precision)
        self.scale = scale
        self.weight = nnx.Param(jnp.zeros((dim, dim), kind))

    @property
    def preconditioner(self) -> Float[Array, "d d"]:
        """W with the scale in it, so that f = <query_x, preconditioner X^T y>."""
        return self.scale * self.weight[...]

    @at_own_precision
    def __call__(self, prompt: SummedPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        require_fit(prompt, self, self.weight.shape[0])
        return bilinear(prompt, self.preconditioner)


class LowRankAttention(nnx.Module):
    """Merged attention of rank at most r.

        f = scale <query_x, U diag(1..1, 0..0) V^T X^T y>,    r ones

    Args:
      dim: d.
      rank: r; may be traced, so that a sweep over ranks is one program.
      max_rank: columns of U and V; rank, where None.
      scale, dtype, precision: as MergedAttention.
      rngs: the stream `params` draws U and V, normal with standard deviation d^(-1/2).

    Raises:
      ValueError, TypeError: for a rank outside 1..max_rank or above d.
    """

    takes_gram = True
    takes_counts = True
    weighs_rows = False
    sweeps = ("rank",)

    def __init__(
        self,
        dim: int,
        rank: Any,
        *,
        max_rank: int | None = None,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        columns = rank if max_rank is None else max_rank
        checks.positive("LowRankAttention", scale=scale)
        kind = checks.float_dtype("LowRankAttention", dtype)
        checks.instance("LowRankAttention", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        self.precision = known("LowRankAttention", precision)
        self.keeps = Fixed(_kept_columns("LowRankAttention", dim, rank, columns, kind))
        init = nnx.initializers.normal(dim**-0.5)
        self.scale = scale
        self.left = nnx.Param(init(rngs.params(), (dim, columns), kind))
        self.right = nnx.Param(init(rngs.params(), (dim, columns), kind))

    @property
    @exact
    def preconditioner(self) -> Float[Array, "d d"]:
        """U diag(..) V^T with the scale in it."""
        return self.scale * (self.left[...] * self.keeps[...][None, :]) @ self.right[...].T

    @at_own_precision
    def __call__(self, prompt: SummedPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        require_fit(prompt, self, self.left.shape[0])
        return bilinear(prompt, self.preconditioner)


class LoraAttention(nnx.Module):
    """Merged attention on a frozen base, with a low-rank addition that is trained.

        f = <query_x, (W_base + scale U diag(1..1, 0..0) V^T) X^T y>,    r ones

    U starts at 0, so that training starts at the base (Hu et al., arXiv:2106.09685).

    Args:
      base_weight: W_base, [d, d], with no 1/n left out.
      rank: r, 0 for the base alone; may be traced.
      max_rank: columns of U and V; rank, where None.
      scale, dtype, precision: as MergedAttention.
      rngs: the stream `params` draws V, normal with standard deviation d^(-1/2).

    Raises:
      ValueError, TypeError: for a base that is not a square matrix or a rank outside 0..max_rank.
    """

    takes_gram = True
    takes_counts = True
    weighs_rows = False
    sweeps = ("rank",)
    arrays: ClassVar[Mapping[str, str]] = {"base_weight": "d d"}

    def __init__(
        self,
        base_weight: Real[ArrayLike, "d d"] | Rows,
        rank: Any,
        *,
        max_rank: int | None = None,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        dim = checks.shapes("LoraAttention", base_weight=(base_weight, "d d"))["d"]
        checks.finite("LoraAttention", base_weight=base_weight)
        columns = rank if max_rank is None else max_rank
        checks.positive("LoraAttention", scale=scale)
        kind = checks.float_dtype("LoraAttention", dtype)
        checks.instance("LoraAttention", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        self.precision = known("LoraAttention", precision)
        self.keeps = Fixed(_kept_columns("LoraAttention", dim, rank, columns, kind, least=0))
        self.scale = scale
        self.base_weight = Fixed(jnp.asarray(base_weight, kind))
        self.left = nnx.Param(jnp.zeros((dim, columns), kind))
        init = nnx.initializers.normal(dim**-0.5)
        self.right = nnx.Param(init(rngs.params(), (dim, columns), kind))

    @property
    @exact
    def preconditioner(self) -> Float[Array, "d d"]:
        """The base plus the addition."""
        addition = (self.left[...] * self.keeps[...][None, :]) @ self.right[...].T
        return self.base_weight[...] + self.scale * addition

    @at_own_precision
    def __call__(self, prompt: SummedPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        require_fit(prompt, self, self.left.shape[0])
        return bilinear(prompt, self.preconditioner)


def bilinear(prompt: SummedPrompt, weight: Float[Array, "d d"]) -> Float[Array, " batch"]:
    """<query_x, W X^T y>: of the context only X^T y enters, which no weight changes.

    For small d it is <W, query_x (X^T y)^T> with the outer products formed first: they hold no
    weight, so that all models of a sweep share them, and prediction and gradient are one matrix
    product each (1.5 times the speed at 128 models, d = 20).
    """
    moment = label_moment(prompt)
    if weight.shape[0] > _SMALL:
        return jnp.einsum("bd,bd->b", prompt.query_x @ weight, moment)
    outer = prompt.query_x[:, :, None] * moment[:, None, :]
    return outer.reshape(len(outer), -1) @ weight.reshape(-1)


def _kept_columns(
    where: str, dim: int, rank: Any, columns: Any, kind: DTypeLike, least: int = 1
) -> Array:
    """Ones for the columns that count, zeros for the rest, as numbers."""
    checks.size(where, dim=(dim, 1), max_rank=(columns, least))
    if columns > dim:
        raise ValueError(f"{where}: max_rank must be at most dim={dim}, got {columns}")
    if checks.is_concrete(rank):
        known = rank.item() if isinstance(rank, jax.Array) else rank  # a number of a sweep
        checks.size(where, rank=(known, least))
        if known > columns:
            raise ValueError(f"{where}: rank must be at most max_rank={columns}, got {known}")
    kept: Array = (jnp.arange(columns) < rank).astype(kind)
    return kept
