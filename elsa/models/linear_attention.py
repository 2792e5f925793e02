"""One layer of linear attention with all its weights, and softmax attention to compare with."""

from typing import TypeGuard

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from elsa.attention import gram
from elsa.base import arithmetic, checks
from elsa.base.precision import EXACT, at_own_precision, exact, known
from elsa.models import readout
from elsa.models.inputs import (
    AnyPrompt,
    SummedPrompt,
    context_gram,
    query_row,
    require_fit,
    rows_of,
)
from elsa.tasks import CountedPrompt, GramPrompt, Prompt

# Rows of a context, in multiples of m, up to which two products with its rows cost less than one
# with a Gram matrix, also where a sweep's models share that.
_FEW_ROWS = 4


class LinearAttention(nnx.Module):
    """One head of linear attention, read at the query's label channel.

        f = scale [ (q Wq)(H Wk)^T (H Wv) ]_label,    H = [X y], q = [x, 0]

    The query attends to the context, not to itself (Li, Rawat, Oymak, arXiv:2407.10005, eq. 3). In
    terms of G = H^T H it is q Wq Wk^T G Wv: one pass over a long context serves every model of a
    sweep. Short contexts given as rows are read as the formula stands.

    Args:
      dim: d; a token has m = d + 1 channels.
      key_size: p; m where None.
      scale: multiplies the sum over the context; 1/n keeps the weights near 1 whatever n. It stays
        whatever the length of a call's prompts; `Trained.model(context_length=m)` has 1/m.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights, normal with standard deviation m^(-1/2).

    Attributes:
      wq, wk: [m, p].
      wv: [m, m]; only its label column is read.

    Raises:
      ValueError, TypeError: for a size below 1 or a scale that is not above 0.
    """

    takes_gram = True
    takes_counts = True
    weighs_rows = False

    def __init__(
        self,
        dim: int,
        key_size: int | None = None,
        *,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        checks.size("LinearAttention", dim=(dim, 1))
        channels = dim + 1
        width = channels if key_size is None else key_size
        checks.size("LinearAttention", key_size=(width, 1))
        checks.positive("LinearAttention", scale=scale)
        kind = checks.float_dtype("LinearAttention", dtype)
        checks.instance("LinearAttention", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        init = nnx.initializers.normal(channels**-0.5)
        self.precision = known("LinearAttention", precision)
        self.scale = scale
        self.wq = nnx.Param(init(rngs.params(), (channels, width), kind))
        self.wk = nnx.Param(init(rngs.params(), (channels, width), kind))
        self.wv = nnx.Param(init(rngs.params(), (channels, channels), kind))

    @property
    @exact
    def query_key(self) -> Float[Array, "m m"]:
        """Wq Wk^T with the scale in it."""
        return self.scale * self.wq[...] @ self.wk[...].T

    @property
    @exact
    def preconditioner(self) -> Float[Array, "d d"]:
        """W of the part <query_x, W X^T y> of the prediction.

        With A = Wq Wk^T and u the label column of Wv, q A G u holds X^T y twice: through A's
        covariate block times u's label entry, and through A's label column times u's covariates.
        What is left, terms in X^T X and y^T y, carries no information of the query's label.
        """
        query_key, value = self.query_key, self.wv[...][:, readout.LABEL]
        covariates = query_key[:-1]
        return covariates[:, :-1] * value[-1] + jnp.outer(covariates[:, -1], value[:-1])

    @at_own_precision
    def __call__(self, prompt: SummedPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts, given as rows or as Gram matrices.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        channels = self.wq.shape[0]
        require_fit(prompt, self, channels - 1)
        keyed, value = query_row(prompt) @ self.query_key, self.wv[...][:, readout.LABEL]
        if isinstance(prompt, CountedPrompt) or _is_short(prompt, channels):
            # covariates and labels apart: a sweep over what moves the labels shares the covariates
            scores_BxN = jnp.einsum("bnd,bd->bn", prompt.x, keyed[:, :-1])
            scores_BxN += prompt.y * keyed[:, -1:]
            values_BxN = prompt.x @ value[:-1] + prompt.y * value[-1]
            if isinstance(prompt, CountedPrompt):
                values_BxN = values_BxN * prompt.counts[None, :]
            return jnp.einsum("bn,bn->b", scores_BxN, values_BxN)
        values = context_gram(prompt, self.precision) @ value
        return jnp.einsum("bi,bi->b", keyed, values)


def _is_short(prompt: AnyPrompt, channels: int) -> TypeGuard[Prompt]:
    """Whether the rows of a context are few enough to be read as the formula stands."""
    if isinstance(prompt, GramPrompt):
        return False
    return prompt.x.shape[1] <= _FEW_ROWS * channels and arithmetic.version() >= 5


class SoftmaxAttention(nnx.Module):
    """One head of softmax attention, read at the query's label channel.

        f = [ softmax(q Wq (H Wk)^T / sqrt(p)) H Wv ]_label,    H = [X y], q = [x, 0]

    Rows that are all zero count as absent, as `tasks.keep_last` leaves them.

    Args:
      dim: d; a token has m = d + 1 channels.
      key_size: p; m where None.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights, normal with standard deviation m^(-1/2).

    Raises:
      ValueError, TypeError: for a size below 1.
    """

    takes_gram = False
    weighs_rows = False

    def __init__(
        self,
        dim: int,
        key_size: int | None = None,
        *,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        checks.size("SoftmaxAttention", dim=(dim, 1))
        channels = dim + 1
        width = channels if key_size is None else key_size
        checks.size("SoftmaxAttention", key_size=(width, 1))
        kind = checks.float_dtype("SoftmaxAttention", dtype)
        checks.instance("SoftmaxAttention", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        init = nnx.initializers.normal(channels**-0.5)
        self.precision = known("SoftmaxAttention", precision)
        self.wq = nnx.Param(init(rngs.params(), (channels, width), kind))
        self.wk = nnx.Param(init(rngs.params(), (channels, width), kind))
        self.wv = nnx.Param(init(rngs.params(), (channels, channels), kind))

    @at_own_precision
    def __call__(self, prompt: AnyPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts; a context without rows predicts 0.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        rows_BxNxM, shares_BxN = self._shares(prompt)
        values_BxN = rows_BxNxM @ self.wv[...][:, readout.LABEL]
        return (shares_BxN * values_BxN).sum(axis=-1)

    @at_own_precision
    def hidden_states(self, prompt: AnyPrompt) -> Float[Array, "2 batch 1 m"]:
        """The query's row, and what the head writes to it.

        Raises:
          TypeError, ValueError: as a call.
        """
        rows_BxNxM, shares_BxN = self._shares(prompt)
        written = jnp.einsum("bn,bnm->bm", shares_BxN, rows_BxNxM @ self.wv[...])
        return jnp.stack([query_row(prompt), written])[:, :, None]

    @at_own_precision
    def attention(self, prompt: AnyPrompt) -> Float[Array, "1 batch 1 1 n"]:
        """The shares that the query gives to the rows of the context: one layer, one head.

        Raises:
          TypeError, ValueError: as a call.
        """
        return self._shares(prompt)[1][None, :, None, None]

    def _shares(
        self, prompt: AnyPrompt
    ) -> tuple[Float[Array, "batch n m"], Float[Array, "batch n"]]:
        """The context's rows, and the query's softmax over those that are there."""
        context = rows_of(prompt, self, self.wq.shape[0] - 1)
        rows_BxNxM = gram.tokens(context.x, context.y)
        query_key = self.wq[...] @ self.wk[...].T * self.wk.shape[1] ** -0.5
        scores_BxN = jnp.einsum("bm,bnm->bn", query_row(context) @ query_key, rows_BxNxM)
        present = jnp.any(rows_BxNxM != 0, axis=-1)
        shares_BxN = jax.nn.softmax(scores_BxN, axis=-1, where=present)
        return rows_BxNxM, jnp.where(present, shares_BxN, 0.0)
