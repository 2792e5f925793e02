"""A small GPT-2 on the tokens of a prompt, with or without its feed-forward layers."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from elsa.attention import gram
from elsa.base import arithmetic, checks
from elsa.base.precision import EXACT, at_own_precision, known
from elsa.models.inputs import AnyPrompt, ByLayer, query_row, rows_of

_STANDARD_DEVIATION = 0.02  # of GPT-2's weights
_WIDENING = 4  # hidden units of a feed-forward layer in units of the width


class GPT2(nnx.Module):
    """A pre-norm decoder with learnt positions, read at the query's token.

        h = [x_i, y_i] W_in + position_i        the query's token is [x, 0]
        h <- h + attention(norm(h));   h <- h + mlp(norm(h))        depth times
        f = norm(h_query) . w_out + b_out

    The decoder of Garg et al. (arXiv:2208.01066): softmax attention with several heads, layer norm
    before each part, GELU, four times the width inside the feed-forward layer, GPT-2's initial
    weights. Covariates and label share a token, as in the linear transformer block
    (arXiv:2402.14951), where Garg et al. alternate x and y: the prompt is then the one of every
    other model here, half as long, and no layer is spent on bringing a label to its covariates, of
    which an attention-only model would have none to spare.

    Rows that are all zero count as absent, as `tasks.keep_last` leaves them.

    Args:
      dim: d; a token has d + 1 channels.
      context_length: n; the model has n + 1 positions, and shorter contexts take the last ones.
      width: of the residual stream.
      depth: layers.
      num_heads: divides the width.
      mlp: False leaves every feed-forward layer out.
      causal: whether a token attends only to itself and those before it.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights.

    Raises:
      ValueError, TypeError: for a size below 1 or heads that do not divide the width.
    """

    takes_gram = False
    weighs_rows = True

    def __init__(
        self,
        dim: int,
        context_length: int,
        *,
        width: int = 64,
        depth: int = 3,
        num_heads: int = 2,
        mlp: bool = True,
        causal: bool = True,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        where = "GPT2"
        checks.size(where, dim=(dim, 1), context_length=(context_length, 1), width=(width, 1))
        checks.size(where, depth=(depth, 1), num_heads=(num_heads, 1))
        checks.boolean(where, mlp=mlp, causal=causal)
        if width % num_heads:
            raise ValueError(f"{where}: num_heads must divide width={width}, got {num_heads}")
        kind = checks.float_dtype(where, dtype)
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        positions = nnx.initializers.normal(_STANDARD_DEVIATION)
        self.precision = known("GPT2", precision)
        self.causal = causal
        self.read_in = nnx.Linear(dim + 1, width, param_dtype=kind, rngs=rngs)
        self.positions = nnx.Param(positions(rngs.params(), (context_length + 1, width), kind))
        self.layers = nnx.List(
            _Layer(width, num_heads, depth, mlp=mlp, dtype=kind, rngs=rngs) for _ in range(depth)
        )
        self.norm = nnx.LayerNorm(width, param_dtype=kind, rngs=rngs)
        self.read_out = nnx.Linear(width, 1, param_dtype=kind, rngs=rngs)

    @at_own_precision
    def __call__(self, prompt: AnyPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          TypeError: for Gram matrices.
          ValueError: for prompts that do not fit the model, also a context that is longer than it
            has positions.
        """
        if arithmetic.version() < 3:
            return self.read_out(self.norm(self._states(prompt)[0][-1][:, -1]))[:, 0]
        *before, last = self.layers
        states, seen = self._states(prompt, before)
        return self.read_out(self.norm(last.of_query(states[-1], seen)))[:, 0]

    @at_own_precision
    def hidden_states(self, prompt: AnyPrompt) -> Float[Array, "layers batch s width"]:
        """The residual stream of every layer, the embedded tokens first, the query's last of a row.

        Raises:
          TypeError, ValueError: as a call.
        """
        return jnp.stack(self._states(prompt)[0])

    @at_own_precision
    def by_layer(self, prompt: AnyPrompt) -> ByLayer:
        """What the last norm and the readout make of the query's token after each layer.

        Raises:
          TypeError, ValueError: as a call.
        """
        queries = jnp.stack([state[:, -1] for state in self._states(prompt)[0]])
        return ByLayer(self.read_out(self.norm(queries))[..., 0], None)

    @at_own_precision
    def attention(self, prompt: AnyPrompt) -> Float[Array, "depth batch heads s s"]:
        """The shares that each token gives to those that it sees, in every layer and head.

        Raises:
          TypeError, ValueError: as a call.
        """
        states, seen = self._states(prompt)
        shares = [layer.shares(h, seen) for layer, h in zip(self.layers, states, strict=False)]
        return jnp.stack(shares)

    def _states(
        self, prompt: AnyPrompt, layers: Iterable["_Layer"] | None = None
    ) -> tuple[list[Array], Bool[Array, "batch s s"]]:
        """The residual stream before, between and after layers, and which token sees which.

        Args:
          prompt: rows.
          layers: those that run, all where None.
        """
        context = rows_of(prompt, self, self.read_in.in_features - 1)
        rows, most = context.x.shape[1], self.positions.shape[0] - 1
        if rows > most:
            raise ValueError(f"GPT2: context must have at most {most} rows, got {rows}")
        tokens_BxNxM = gram.tokens(context.x, context.y)
        present_BxS = jnp.pad(
            jnp.any(tokens_BxNxM != 0, axis=-1), ((0, 0), (0, 1)), constant_values=True
        )
        tokens_BxSxM = jnp.concatenate([tokens_BxNxM, query_row(context)[:, None, :]], axis=1)
        seen_BxSxS = jnp.broadcast_to(present_BxS[:, None, :], (*present_BxS.shape, rows + 1))
        if self.causal:
            seen_BxSxS = seen_BxSxS & jnp.tril(jnp.ones((rows + 1, rows + 1), bool))[None]
        states = [self.read_in(tokens_BxSxM) + self.positions[...][most - rows :][None]]
        for layer in self.layers if layers is None else layers:
            states.append(layer(states[-1], seen_BxSxS))
        return states, seen_BxSxS


class _Layer(nnx.Module):
    """Attention and, where asked for, a feed-forward layer, each after a norm and with a skip."""

    def __init__(
        self, width: int, num_heads: int, depth: int, *, mlp: bool, dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        normal = nnx.initializers.normal(_STANDARD_DEVIATION)
        # what is added to the residual stream, 2 depth times, starts smaller
        added = nnx.initializers.normal(_STANDARD_DEVIATION * (2 * depth) ** -0.5)
        self.attention_norm = nnx.LayerNorm(width, param_dtype=dtype, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            num_heads,
            width,
            param_dtype=dtype,
            kernel_init=normal,
            out_kernel_init=added,
            attention_fn=_attention,
            decode=False,
            keep_rngs=False,
            rngs=rngs,
        )
        self.mlp_norm = nnx.LayerNorm(width, param_dtype=dtype, rngs=rngs) if mlp else None
        self.widen, self.narrow = (
            nnx.Linear(*sizes, param_dtype=dtype, kernel_init=init, rngs=rngs) if mlp else None
            for sizes, init in (
                ((width, _WIDENING * width), normal),
                ((_WIDENING * width, width), added),
            )
        )

    def __call__(
        self, h: Float[Array, "batch s width"], seen: Bool[Array, "batch s s"]
    ) -> Float[Array, "batch s width"]:
        return self._fed_forward(h + self.attention(self.attention_norm(h), mask=seen[:, None]))

    def of_query(
        self, h: Float[Array, "batch s width"], seen: Bool[Array, "batch s s"]
    ) -> Float[Array, "batch width"]:
        """The last token alone, after this layer.

        Of the other tokens it takes keys and values, 2 w^2 of the 12 w^2 products of a layer with
        its feed-forward part: where no layer follows, nothing else of them is read.
        """
        normed = self.attention_norm(h)
        attended = self.attention(normed[:, -1:], normed, mask=seen[:, None, -1:])
        return self._fed_forward(h[:, -1:] + attended)[:, 0]

    def _fed_forward(self, h: Float[Array, "batch s width"]) -> Float[Array, "batch s width"]:
        if self.mlp_norm is None or self.widen is None or self.narrow is None:
            return h
        return h + self.narrow(jax.nn.gelu(self.widen(self.mlp_norm(h))))

    def shares(
        self, h: Float[Array, "batch s width"], seen: Bool[Array, "batch s s"]
    ) -> Float[Array, "batch heads s s"]:
        """The attention of every head."""
        normed = self.attention_norm(h)
        query, key = self.attention.query(normed), self.attention.key(normed)
        return _shares(query, key, seen[:, None])


def _attention(
    query: Float[Array, "batch s heads p"],
    key: Float[Array, "batch s heads p"],
    value: Float[Array, "batch s heads p"],
    *,
    mask: Bool[Array, "batch 1 s s"],
    **_: Any,
) -> Float[Array, "batch s heads p"]:
    """Softmax attention in the dtype of its arguments; jax's own has its softmax in float32."""
    return jnp.einsum("bhqk,bkhp->bqhp", _shares(query, key, mask), value)


def _shares(
    query: Float[Array, "batch s heads p"],
    key: Float[Array, "batch s heads p"],
    mask: Bool[Array, "batch 1 s s"],
) -> Float[Array, "batch heads s s"]:
    scores = jnp.einsum("bqhp,bkhp->bhqk", query * query.shape[-1] ** -0.5, key)
    # finite, so that the row of an absent token, which may see nothing, is not NaN
    lowest = jnp.finfo(scores.dtype).min
    return jax.nn.softmax(jnp.where(mask, scores, lowest), axis=-1)
