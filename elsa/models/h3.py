"""H3: gating around a convolution, which weighs the samples of a context by their place."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from elsa.attention import gram
from elsa.base import arithmetic, checks
from elsa.base.precision import EXACT, at_own_precision, exact, known
from elsa.models.inputs import AnyPrompt, SummedPrompt, query_row, require_fit, rows_of
from elsa.tasks import CountedPrompt, PairPrompt, Prompt

_COVARIATES_APART = 6  # version of the arithmetic


class LongFilter(nnx.Module):
    """A convolution filter with one free tap for each lag 1..n.

    Args:
      length: n.
      dtype: of the taps.

    Attributes:
      taps: [n], by lag; all start at 1.
    """

    def __init__(self, length: int, *, dtype: DTypeLike | None = None) -> None:
        checks.size("LongFilter", length=(length, 1))
        self.taps = nnx.Param(jnp.ones((length,), checks.float_dtype("LongFilter", dtype)))

    def __call__(self, length: int) -> Float[Array, " n"]:
        """The taps of lags 1..length.

        Raises:
          ValueError: for a context longer than the filter.
        """
        checks.size("LongFilter", length=(length, 0))
        if length > self.taps.shape[0]:
            raise ValueError(
                f"LongFilter: the context must have at most {self.taps.shape[0]} rows, got {length}"
                "; its length is the context_length of the model"
            )
        return self.taps[...][:length]


class DiagonalFilter(nnx.Module):
    """The filter of a diagonal state-space model: a sum of decaying exponentials.

        tap(l) = sum_s c_s a_s^(l-1),    a_s = sigmoid(decay_s) in (0, 1)

    Args:
      state_size: s, how many exponentials; their half-lives start spread from 1 to 1,000 rows.
      dtype: of the parameters.

    Raises:
      ValueError, TypeError: for a state size below 1.
    """

    def __init__(self, state_size: int, *, dtype: DTypeLike | None = None) -> None:
        checks.size("DiagonalFilter", state_size=(state_size, 1))
        kind = checks.float_dtype("DiagonalFilter", dtype)
        rates = 0.5 ** (1.0 / jnp.geomspace(1.0, 1000.0, state_size))
        self.decays = nnx.Param(jnp.asarray(jnp.log(rates) - jnp.log1p(-rates), kind))
        self.weights = nnx.Param(jnp.full((state_size,), 1.0 / state_size, kind))

    @exact
    def __call__(self, length: int) -> Float[Array, " n"]:
        """The taps of lags 1..length."""
        checks.size("DiagonalFilter", length=(length, 0))
        logs = jax.nn.log_sigmoid(self.decays[...])
        powers = jnp.exp(jnp.arange(length)[:, None] * logs[None, :])
        return powers @ self.weights[...]


class H3(nnx.Module):
    """One layer of H3 with all its weights, read at the query.

        f = scale sum_c out_c (q Wq)_c sum_i tap(n + 1 - i) (h_i Wk)_c (h_i Wv)_c

    that is Q * conv(tap, K * V) with elementwise products, at the query's row q = [x, 0]; the
    filter reaches back over the context h_i = [x_i, y_i] by lags 1..n (Fu et al., arXiv:2212.14052;
    Li, Rawat, Oymak, arXiv:2407.10005, eq. 5). `shift` is H3's shift state-space model: keys are
    taken `shift` rows back, for prompts that spread x and y over neighbouring rows.

    The sum over i is read from the Gram matrix of the context weighted by the taps, or, where a
    PairPrompt brings the products of its rows' entries, from their weighted sum.

    Args:
      dim: d; a token has m = d + 1 channels.
      context_length: n, the longest context.
      state_size: None for a free tap at every lag (LongFilter), or s for a DiagonalFilter.
      shift: rows that keys lag behind values.
      scale: multiplies the sum over the context. It stays whatever the length of a call's prompts;
        `Trained.model(context_length=m)` has that of m rows, with a state_size.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws the weights, normal with standard deviation m^(-1/2).

    Attributes:
      wq, wk, wv: [m, m].
      out: [m].
      filter: LongFilter or DiagonalFilter.
      takes_pairs: whether a call takes a PairPrompt.

    Raises:
      ValueError, TypeError: for a size below 1, a shift below 0 or a scale that is not above 0.
    """

    takes_gram = False
    weighs_rows = True

    def __init__(
        self,
        dim: int,
        context_length: int,
        *,
        state_size: int | None = None,
        shift: int = 0,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        checks.size("H3", dim=(dim, 1), context_length=(context_length, 1), shift=(shift, 0))
        checks.positive("H3", scale=scale)
        kind, channels = checks.float_dtype("H3", dtype), dim + 1
        checks.instance("H3", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        init = nnx.initializers.normal(channels**-0.5)
        self.precision = known("H3", precision)
        self.scale, self.shift = scale, shift
        self.takes_pairs = shift == 0  # keys and values of the same row: products within it will do
        self.wq = nnx.Param(init(rngs.params(), (channels, channels), kind))
        self.wk = nnx.Param(init(rngs.params(), (channels, channels), kind))
        self.wv = nnx.Param(init(rngs.params(), (channels, channels), kind))
        self.out = nnx.Param(jnp.ones((channels,), kind))
        self.filter: LongFilter | DiagonalFilter = (
            LongFilter(context_length, dtype=kind)
            if state_size is None
            else DiagonalFilter(state_size, dtype=kind)
        )

    def sample_weights(self, context_length: int) -> Float[Array, " n"]:
        """The taps by row, the oldest first: row i of n is weighed by the tap of lag n + 1 - i."""
        checks.size("H3.sample_weights", context_length=(context_length, 1))
        return self.filter(context_length)[::-1]

    @property
    @exact
    def preconditioner(self) -> Float[Array, "d d"]:
        """W of the part <query_x, W X^T (sample_weights * y)> of the prediction (shift 0).

        W = scale Wq diag(out) (covariates of Wk by label of Wv, and the other way round)^T.
        """
        gate = self.scale * self.wq[...][:-1] * self.out[...][None, :]
        key, value = self.wk[...], self.wv[...]
        return gate @ (key[:-1] * value[-1][None, :] + value[:-1] * key[-1][None, :]).T

    @at_own_precision
    def __call__(self, prompt: AnyPrompt | PairPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received; for pairs
            where `shift` is not 0.
        """
        if isinstance(prompt, PairPrompt):
            self._require_pairs(prompt)
            summed_BxM = self._of_pairs(prompt)
        else:
            summed_BxM = self._of_rows(rows_of(prompt, self, self.wq.shape[0] - 1))
        gate_BxM = (query_row(prompt) @ self.wq[...]) * self.out[...][None, :]
        return self.scale * jnp.einsum("bc,bc->b", gate_BxM, summed_BxM)

    def _of_rows(self, context: Prompt) -> Float[Array, "batch m"]:
        """sum_i tap(n + 1 - i) (h_{i - shift} Wk) * (h_i Wv)."""
        rows_BxNxM = gram.tokens(context.x, context.y)
        lagged_BxNxM = jnp.pad(rows_BxNxM, ((0, 0), (self.shift, 0), (0, 0)))
        lagged_BxNxM = lagged_BxNxM[:, : rows_BxNxM.shape[1]]
        taps_N = self.sample_weights(rows_BxNxM.shape[1])
        gram_BxMxM = jnp.einsum("bni,n,bnj->bij", lagged_BxNxM, taps_N, rows_BxNxM)
        return jnp.einsum("bij,jc,ic->bc", gram_BxMxM, self.wv[...], self.wk[...])

    def _of_pairs(self, prompt: PairPrompt) -> Float[Array, "batch m"]:
        """The same of products: (h Wk)_c (h Wv)_c = sum_{j <= k} h_j h_k (Wk_jc Wv_kc + Wk_kc
        Wv_jc), the bracket halved where j = k."""
        taps_N = self.sample_weights(prompt.counts.shape[0]) * prompt.counts
        key, value = self.wk[...], self.wv[...]
        if arithmetic.version() < _COVARIATES_APART:
            pairs, (first, second) = prompt.together(), np.triu_indices(key.shape[0])
            moments_BxP = jnp.einsum("bpn,n->bp", pairs, taps_N)
        else:
            parts = prompt.pairs, prompt.label_pairs
            moments = [jnp.einsum("bpn,n->bp", part, taps_N) for part in parts]
            moments_BxP = jnp.concatenate(moments, axis=1)
            first, second = prompt.entries()
        both_ways = key[first] * value[second] + key[second] * value[first]
        halved = np.where(first == second, 0.5, 1.0)[:, None].astype(both_ways.dtype)
        return moments_BxP @ (both_ways * halved)

    def _require_pairs(self, prompt: PairPrompt) -> None:
        if not self.takes_pairs:
            raise ValueError(
                f"H3: a PairPrompt has products within rows, and shift={self.shift} multiplies "
                "rows with others; give a Prompt"
            )
        dim = self.wq.shape[0] - 1
        pairs = dim * (dim + 1) // 2
        sizes = checks.shapes(
            "H3",
            pairs=(prompt.pairs, "batch pairs n"),
            label_pairs=(prompt.label_pairs, "batch m n"),
            counts=(prompt.counts, "n"),
            query_x=(prompt.query_x, "batch d"),
        )
        came = tuple(sizes[name] for name in ("pairs", "m", "d"))
        if came != (pairs, dim + 1, dim):
            raise ValueError(
                f"H3: pairs, label_pairs and query_x must be those of the model's d = {dim} "
                f"covariates, {pairs}, {dim + 1} and {dim}, got {came[0]}, {came[1]} and {came[2]}"
            )


class MergedH3(nnx.Module):
    """H3 with its weights multiplied out: one preconditioned step on weighted samples.

        f = scale <query_x, W X^T (omega * y)>

    Starts at W = 0 and omega = 1 (Li, Rawat, Oymak, arXiv:2407.10005, prop. 1).

    Args:
      dim: d.
      context_length: n, the longest context.
      scale: multiplies the sum over the context, whatever the length of a call's prompts.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: not drawn from; taken so that every model is built alike.

    Attributes:
      weight: W, [d, d].
      filter: the taps of omega, by lag.

    Raises:
      ValueError, TypeError: for a size below 1 or a scale that is not above 0.
    """

    takes_gram = False
    takes_counts = True
    weighs_rows = True

    def __init__(
        self,
        dim: int,
        context_length: int,
        *,
        scale: float = 1.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if rngs is not None:
            checks.instance("MergedH3", nnx.Rngs, "an nnx.Rngs or None", rngs=rngs)
        checks.size("MergedH3", dim=(dim, 1), context_length=(context_length, 1))
        checks.positive("MergedH3", scale=scale)
        kind = checks.float_dtype("MergedH3", dtype)
        self.precision = known("MergedH3", precision)
        self.scale = scale
        self.weight = nnx.Param(jnp.zeros((dim, dim), kind))
        self.filter = LongFilter(context_length, dtype=kind)

    def sample_weights(self, context_length: int) -> Float[Array, " n"]:
        """omega by row, the oldest first."""
        checks.size("MergedH3.sample_weights", context_length=(context_length, 1))
        return self.filter(context_length)[::-1]

    @property
    def preconditioner(self) -> Float[Array, "d d"]:
        """W with the scale in it."""
        return self.scale * self.weight[...]

    @at_own_precision
    def __call__(self, prompt: SummedPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          ValueError: for prompts that do not fit the model, naming the shape received.
        """
        weights_N: float | Array = 1.0
        if isinstance(prompt, CountedPrompt):
            require_fit(prompt, self, self.weight.shape[0])
            weights_N = prompt.counts
        else:
            prompt = rows_of(prompt, self, self.weight.shape[0])
        weights_N = weights_N * self.sample_weights(prompt.y.shape[1])
        moment_BxD = jnp.einsum("bnd,bn->bd", prompt.x, prompt.y * weights_N[None, :])
        return jnp.einsum("bd,bd->b", prompt.query_x @ self.preconditioner, moment_BxD)
