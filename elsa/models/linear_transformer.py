"""Several layers of linear attention, run on rows or on the context's Gram matrix."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from elsa.attention import gram, many_prompts
from elsa.base import checks, lanes
from elsa.base.precision import EXACT, at_own_precision, known
from elsa.models import readout
from elsa.models.inputs import AnyPrompt, ByLayer, context_gram, query_row, require_fit, rows_of
from elsa.tasks import GramPrompt, Prompt

FORMS = ("auto", "gram", "direct")


class LinearTransformer(nnx.Module):
    """Layers of linear attention with residual, in the parametrisation by (P, Q).

        Z <- Z + scale sum_h P_h Z M (Z^T Q_h Z)      tokens as columns of Z, M masks the query out

    (Ahn et al., arXiv:2306.00297, eq. 3; Zhang, Frei, Bartlett, arXiv:2306.09927). Tokens as rows,
    H = Z^T, a layer is H + scale sum_h (H Q_h^T)(H_context)^T H_context P_h^T: linear
    self-attention with Wq Wk^T = Q^T and Wv = P^T. The prediction is minus the query's label
    channel.

    Args:
      dim: d; a token has m = d + 1 channels.
      depth: layers, each with weights of its own.
      num_heads: heads that a layer sums.
      scale: multiplies every layer's sum over the context; 1/n keeps the weights near 1. It stays
        whatever the length of a call's prompts; `Trained.model(context_length=m)` has 1/m.
      init_scale: standard deviation of the weights at the start.
      form: "gram" runs on [X y]^T [X y] at a cost that does not grow with the context; "direct" on
        the rows; "auto" takes the cheaper by counting multiplications. Equal to rounding.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights.

    Attributes:
      p, q: [depth, heads, m, m].

    Raises:
      ValueError, TypeError: for a size below 1, a scale that is not above 0, an unknown form.
    """

    takes_gram = True
    weighs_rows = False

    def __init__(
        self,
        dim: int,
        depth: int,
        *,
        num_heads: int = 1,
        scale: float = 1.0,
        init_scale: float = 0.1,
        form: str = "auto",
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        where = "LinearTransformer"
        checks.size(where, dim=(dim, 1), depth=(depth, 1), num_heads=(num_heads, 1))
        checks.positive(where, scale=scale, init_scale=init_scale)
        checks.one_of(where, "form", form, FORMS)
        kind, channels = checks.float_dtype(where, dtype), dim + 1
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        init = nnx.initializers.normal(init_scale)
        self.precision = known("LinearTransformer", precision)
        self.scale, self.form = scale, form
        self.p = nnx.Param(init(rngs.params(), (depth, num_heads, channels, channels), kind))
        self.q = nnx.Param(init(rngs.params(), (depth, num_heads, channels, channels), kind))

    @property
    def query_key(self) -> Float[Array, "depth heads m m"]:
        """Wq Wk^T of every head, the scale in it."""
        return self.scale * jnp.swapaxes(self.q[...], -1, -2)

    @property
    def value(self) -> Float[Array, "depth heads m m"]:
        """Wv of every head."""
        return jnp.swapaxes(self.p[...], -1, -2)

    @at_own_precision
    def __call__(self, prompt: AnyPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts, given as rows or as Gram matrices.

        Raises:
          ValueError: for prompts that do not fit the model, also Gram matrices where the form is
            "direct".
        """
        require_fit(prompt, self, self.p.shape[-1] - 1)
        row_BxM, weights = query_row(prompt), (self.query_key, self.value)
        if isinstance(prompt, GramPrompt) and self.form == "direct":
            raise ValueError("LinearTransformer: form='direct' needs a Prompt, got a GramPrompt")
        if isinstance(prompt, GramPrompt) or self._runs_on_gram(prompt.x.shape[1]):
            if lanes.serve(*row_BxM.shape):
                grams = context_gram(prompt, self.precision)
                labels_B = many_prompts.last_channel(grams, row_BxM, *weights)
                return readout.from_residual_stream(labels_B[:, None])
            one = functools.partial(gram.run_layers, precision=self.precision)
            run = jax.vmap(one, in_axes=(0, 0, None, None))
            grams = context_gram(prompt, self.precision)
            return readout.from_residual_stream(run(grams, row_BxM, *weights))
        rows = jax.vmap(_run_on_rows, in_axes=(0, 0, None, None))
        tokens = gram.tokens(prompt.x, prompt.y)
        return readout.from_residual_stream(rows(tokens, row_BxM, *weights)[0])

    @at_own_precision
    def hidden_states(self, prompt: Prompt) -> Float[Array, "layers batch rows m"]:
        """Every layer's rows, those of the context and then the query's, the input first.

        Raises:
          TypeError: for a GramPrompt. ValueError: as a call.
        """
        context = rows_of(prompt, self, self.p.shape[-1] - 1)
        tokens, row = gram.tokens(context.x, context.y), query_row(context)
        rows = jnp.concatenate([tokens, row[:, None]], axis=1)
        run = jax.vmap(functools.partial(_run_on_rows, keep=True), in_axes=(0, 0, None, None))
        _, during = run(tokens, row, self.query_key, self.value)
        return jnp.concatenate([rows[None], jnp.moveaxis(during, 0, 1)])

    def by_layer(self, prompt: Prompt) -> ByLayer:
        """The prediction if the transformer ended after each layer, 0 before the first.

        Raises:
          TypeError: for a GramPrompt. ValueError: as a call.
        """
        rows = self.hidden_states(prompt)[:, :, -1]
        return ByLayer(readout.from_residual_stream(rows), None)

    @at_own_precision
    def attention(self, prompt: Prompt) -> Float[Array, "depth batch heads rows n"]:
        """Scores Z Wq Wk^T C^T of every row on those of the context, a layer's input Z = [C; q].

        The scale is in them: a layer adds the sum over its heads of scores C Wv.

        Raises:
          TypeError: for a GramPrompt. ValueError: as a call.
        """
        before = self.hidden_states(prompt)[:-1]
        return jnp.einsum("tbim,thmk,tbjk->tbhij", before, self.query_key, before[:, :, :-1])

    def _runs_on_gram(self, context_length: int) -> bool:
        if self.form != "auto":
            return self.form == "gram"
        depth, num_heads, channels, _ = self.p.shape
        return gram.prefers_gram(context_length, channels, channels, num_heads, depth)


def _run_on_rows(
    context: Float[Array, "n m"],
    query: Float[Array, " m"],
    query_key: Float[Array, "depth heads m m"],
    value: Float[Array, "depth heads m m"],
    *,
    keep: bool = False,
) -> tuple[Float[Array, " m"], Any]:
    """The query's row after all layers, and with `keep` all rows after each, [depth, n + 1, m]."""

    def layer(rows: tuple[Array, Array], weights: tuple[Array, Array]) -> tuple[Any, Any]:
        context_NxM, query_M = rows
        first, last = weights
        contracted = jnp.einsum("ni,nj,hjk->hik", context_NxM, context_NxM, last)
        change = jnp.einsum("hij,hjk->ik", first, contracted)
        after = context_NxM + context_NxM @ change, query_M + query_M @ change
        return after, jnp.concatenate([after[0], after[1][None]]) if keep else None

    common = jnp.result_type(context, query, query_key, value)  # a scan carries one dtype
    context, query = context.astype(common), query.astype(common)
    during: Any
    (_, query), during = jax.lax.scan(layer, (context, query), (query_key, value))
    return query, during
