"""Linear attention followed by a linear feed-forward layer, in blocks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from elsa.attention import gram, many_prompts
from elsa.base import checks, lanes
from elsa.base.precision import EXACT, at_own_precision, exact, known
from elsa.models import readout
from elsa.models.inputs import AnyPrompt, ByLayer, context_gram, query_row, require_fit
from elsa.tasks import GramPrompt


class LinearTransformerBlock(nnx.Module):
    """Blocks of linear attention with a skip, each followed by a linear feed-forward layer.

        E <- W2^T W1 (E + scale Wpv E M E^T Wkq E)        E = [[X^T, x], [y^T, 0]]

    with tokens as columns and M = diag(1, .., 1, 0), which keeps the query's own column out of what
    is attended to (Zhang, Wu, Bartlett, arXiv:2402.14951). The prediction is the label's entry of
    the query's column after the last block, [E]_{-1,-1}.

    Tokens as rows, H = E^T, a block multiplies every row from the right by
    (I + scale Wkq^T G Wpv^T) W1^T W2 with G = H^T H over the context's rows, so that the blocks run
    on G alone at a cost that does not grow with the context.

    One block is exactly one step of gradient descent from a learnt start where its weights are
    those of `readback.gd_beta_block`; `readback.read_gd_beta` finds start and
    preconditioner in any other.

    Args:
      dim: d; a token has m = d + 1 channels.
      depth: blocks, each with weights of its own.
      hidden: width of the feed-forward layer; m where None. Below m it bounds the rank.
      scale: multiplies the sum over the context; where None, 1/n for the n rows of the prompt at
        hand, which then has to be given as rows. A number stays whatever the length of a call's
        prompts; `Trained.model(context_length=m)` has 1/m.
      init_scale: standard deviation of the weights at the start, in units of m^(-1/2) for
        attention and of hidden^(-1/2) for the feed-forward layer.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights.

    Attributes:
      w_pv, w_kq: [depth, m, m].
      w1, w2: [depth, hidden, m].

    Raises:
      ValueError, TypeError: for a size below 1, a scale that is not above 0.
    """

    takes_gram = True
    weighs_rows = False

    def __init__(
        self,
        dim: int,
        depth: int = 1,
        *,
        hidden: int | None = None,
        scale: float | None = None,
        init_scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        where = "LinearTransformerBlock"
        checks.size(where, dim=(dim, 1), depth=(depth, 1))
        channels = dim + 1
        width = channels if hidden is None else hidden
        checks.size(where, hidden=(width, 1))
        checks.positive(where, init_scale=init_scale)
        if scale is not None:
            checks.positive(where, scale=scale)
        kind = checks.float_dtype(where, dtype)
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        attention = nnx.initializers.normal(init_scale * channels**-0.5)
        feed_forward = nnx.initializers.normal(init_scale * width**-0.5)
        self.precision = known("LinearTransformerBlock", precision)
        self.scale = scale
        self.w_pv = nnx.Param(attention(rngs.params(), (depth, channels, channels), kind))
        self.w_kq = nnx.Param(attention(rngs.params(), (depth, channels, channels), kind))
        self.w1 = nnx.Param(feed_forward(rngs.params(), (depth, width, channels), kind))
        self.w2 = nnx.Param(feed_forward(rngs.params(), (depth, width, channels), kind))

    @property
    @exact
    def w_mlp(self) -> Float[Array, "depth m m"]:
        """W2^T W1 of every block."""
        return jnp.einsum("lki,lkj->lij", self.w2[...], self.w1[...])

    @at_own_precision
    def __call__(self, prompt: AnyPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts, given as rows or as Gram matrices.

        Raises:
          ValueError: for prompts that do not fit the model, also Gram matrices where the scale is
            1/n of the prompt's own rows.
        """
        return self._after(prompt, self.w_kq.shape[0])

    @at_own_precision
    def by_layer(self, prompt: AnyPrompt) -> ByLayer:
        """The prediction if the model ended after each block, 0 before the first.

        Raises:
          ValueError: as a call.
        """
        blocks = range(1, self.w_kq.shape[0] + 1)
        predictions = [self._after(prompt, number) for number in blocks]
        return ByLayer(jnp.stack([jnp.zeros_like(predictions[0]), *predictions]), None)

    def _after(self, prompt: AnyPrompt, depth: int) -> Float[Array, " batch"]:
        """The prediction after the first blocks."""
        require_fit(prompt, self, self.w_kq.shape[-1] - 1)
        first = self._scale(prompt) * jnp.swapaxes(self.w_kq[...], 1, 2)
        last, feed_forward = (jnp.swapaxes(w, 1, 2) for w in (self.w_pv[...], self.w_mlp))
        grams, row_BxM = context_gram(prompt, self.precision), query_row(prompt)
        weights = tuple(w[:depth] for w in (first, last, feed_forward))
        if lanes.serve(*row_BxM.shape):
            labels_B = many_prompts.last_channel(grams, row_BxM, *_as_layers(*weights))
            return readout.from_block(labels_B[:, None])
        one = functools.partial(_run_blocks, precision=self.precision)
        run = jax.vmap(one, in_axes=(0, 0, None, None, None))
        rows = run(grams, row_BxM, *weights)
        return readout.from_block(rows)

    def _scale(self, prompt: AnyPrompt) -> float:
        if self.scale is not None:
            return self.scale
        if isinstance(prompt, GramPrompt):
            raise ValueError(
                "LinearTransformerBlock: a GramPrompt does not tell how many rows its context has; "
                "give the block a scale, or call it on a Prompt"
            )
        return 1.0 / max(prompt.x.shape[1], 1)


def _as_layers(
    query_key: Float[Array, "depth m m"],
    value: Float[Array, "depth m m"],
    feed_forward: Float[Array, "depth m m"],
) -> tuple[Array, Array, Array]:
    """(I + A G V) F = F + A G (V F): one head, with F in its value and as its skip."""
    return query_key[:, None], (value @ feed_forward)[:, None], feed_forward


def _run_blocks(
    context: Float[Array, "m m"],
    query: Float[Array, " m"],
    query_key: Float[Array, "depth m m"],
    value: Float[Array, "depth m m"],
    feed_forward: Float[Array, "depth m m"],
    *,
    precision: str,
) -> Float[Array, " m"]:
    """The query's row after all blocks, G <- B^T G B and row <- row B after each."""

    def block(state: tuple[Array, Array], weights: tuple[Array, ...]) -> tuple[Any, None]:
        (context_MxM, row_M), (first, last, mixing) = state, weights
        heads = first[None], last[None]
        multiplier = gram.right_multiplier(context_MxM, *heads, precision=precision) @ mixing
        return (multiplier.T @ context_MxM @ multiplier, row_M @ multiplier), None

    common = jnp.result_type(context, query, query_key)  # a scan carries one dtype
    start = context.astype(common), query.astype(common)
    weights = (query_key, value, feed_forward)
    if len(query_key) > 1:
        start, _ = jax.lax.scan(block, start, tuple(w[:-1] for w in weights))
    # nothing reads the Gram matrix after the last block: its row needs products with vectors only
    context, row = start
    return (row + row @ query_key[-1] @ context @ value[-1]) @ feed_forward[-1]
