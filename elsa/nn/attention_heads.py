"""Base class of LSA and ELSA layers: their arrays are drawn, set, read, and summed over heads."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from elsa import attention
from elsa.attention import many_heads
from elsa.base import checks
from elsa.base.precision import EXACT, at_own_precision, known
from elsa.heads.head import Head, HeadWeights, stack_dense

_AXES = {"wq": "mp", "wk": "mp", "wv": "mm", "bq": "np", "bk": "np", "bv": "nm"}


class AttentionHeads(nnx.Module):
    """Base class of LSA and ELSA; a subclass lists its arrays, and draws them."""

    fields: ClassVar[tuple[str, ...]]
    precision: str
    wq: nnx.Param[Array]
    wk: nnx.Param[Array]
    wv: nnx.Param[Array]
    bq: nnx.Param[Array]
    bk: nnx.Param[Array]

    def __init__(
        self,
        channels: int,
        key_size: int,
        num_heads: int = 1,
        *,
        init_scale: Float[ArrayLike, ""] = 0.02,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        """Heads without biases; those with biases have rows too."""
        sizes = {"channels": ("m", channels), "key_size": ("p", key_size)}
        self._draw(num_heads, dtype, precision, rngs, init_scale, **sizes)

    def _draw(
        self,
        num_heads: int,
        dtype: DTypeLike | None,
        precision: str,
        rngs: nnx.Rngs,
        init_scale: Float[ArrayLike, ""],
        **sizes: tuple[str, int],
    ) -> None:
        """Draws the arrays; sizes are argument name -> (axis letter of the formula, size)."""
        where = type(self).__name__
        checks.at_least(where, init_scale=(init_scale, 0.0))
        checks.finite(where, init_scale=init_scale)
        init = nnx.initializers.normal(init_scale)
        checks.size(where, num_heads=(num_heads, 1), **{k: (v, 1) for k, (_, v) in sizes.items()})
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        kind, size_of = checks.float_dtype(where, dtype), dict(sizes.values())
        for name in self.fields:
            shape = (num_heads, *(size_of[axis] for axis in _AXES[name]))
            setattr(self, name, nnx.Param(init(rngs.params(), shape, kind)))
        self.precision = known(where, precision)

    @classmethod
    def from_heads(
        cls,
        heads: Sequence[Head],
        shape: tuple[int, int],
        *,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
    ) -> Self:
        """The module whose weights are those of symbolic heads, for prompts of shape (n, m).

        The weights are float64 until here and are cast once.

        Raises:
          ValueError: for no heads; for LSA, naming a head that needs a bias.
        """
        checks.instance(cls.__name__, Sequence, "a sequence of heads", heads=heads)
        checks.instance(cls.__name__, tuple | list, "two integers", shape=shape)
        if len(shape) != 2:
            raise ValueError(f"{cls.__name__}: shape must be two integers, got {shape}")
        checks.size(cls.__name__, **{f"shape[{i}]": (size, 1) for i, size in enumerate(shape)})
        known(cls.__name__, precision)
        if not heads:
            raise ValueError(f"{cls.__name__}: heads must name at least one head, got none")
        for head in heads:
            checks.instance(cls.__name__, Head, "heads", heads=head)
            if head.has_bias and "bq" not in cls.fields:
                raise ValueError(
                    f"{cls.__name__}: head '{head.formula}' writes constant rows, which needs a "
                    "bias; use ELSA"
                )
        kind = checks.float_dtype(cls.__name__, dtype)
        rows = shape[0] if "bq" in cls.fields else 0  # of biases, which may be 10^8
        made = stack_dense(heads, (rows, shape[1]), kind)  # referenced nowhere else: no copy needed
        return cls._with({n: jax.device_put(getattr(made, n)) for n in cls.fields}, kind, precision)

    @classmethod
    def from_weights(
        cls, weights: HeadWeights, *, dtype: DTypeLike | None = None, precision: str = EXACT
    ) -> Self:
        """The module with the given weights, heads along the first axis, cast once.

        One more axis in front holds the weights of every step of an untied stack.

        Raises:
          ValueError: for a bad dtype, or weights beyond its range.
        """
        checks.instance(cls.__name__, HeadWeights, "HeadWeights", weights=weights)
        known(cls.__name__, precision)
        kind = checks.float_dtype(cls.__name__, dtype)
        checks.in_range(cls.__name__, kind, **weights._asdict())
        arrays = {name: jnp.asarray(getattr(weights, name), kind) for name in cls.fields}
        return cls._with(arrays, kind, precision)

    @classmethod
    def _with(cls, arrays: Mapping[str, Array], kind: np.dtype, precision: str) -> Self:
        """The module that has these arrays, of that dtype."""
        module: Self = nnx.merge(*_skeleton(cls, kind, precision))
        for name, array in arrays.items():
            setattr(module, name, nnx.Param(array))
        return module

    @property
    def weights(self) -> HeadWeights:
        """The weights of all heads along the first axis; arrays that the module lacks are zeros."""
        arrays = {name: np.asarray(getattr(self, name)[...]) for name in self.fields}
        lead, (m, p) = arrays["wq"].shape[:-2], arrays["wq"].shape[-2:]
        size_of = {"n": 0, "m": m, "p": p}
        return HeadWeights(
            *(
                arrays.get(name, np.zeros((*lead, *(size_of[axis] for axis in axes))))
                for name, axes in _AXES.items()
            )
        )

    @at_own_precision
    def scores(self, h: Float[Array | np.ndarray, "n m"]) -> Float[Array, "heads n n"]:
        """Attention scores (H Wq + Bq) (H Wk + Bk)^T of every head on one prompt."""
        where = type(self).__name__
        checks.shapes(where, h=(h, "n m"))
        prompt = jnp.asarray(h)
        if prompt.shape[1] != self.wq.shape[-2] or (
            "bq" in self.fields and (prompt.shape[0] != self.bq.shape[-2])
        ):
            raise ValueError(f"{where}: h must have the layer's rows and channels, got {h.shape}")
        queries, keys = prompt @ self.wq[...], prompt @ self.wk[...]
        if "bq" in self.fields:
            queries, keys = queries + self.bq[...], keys + self.bk[...]
        return queries @ keys.swapaxes(-1, -2)

    def _sum(self, head: Callable[..., Array], h: Array | np.ndarray) -> Array:
        """Sums a head function over the heads, on one prompt or on a batch of prompts."""
        checks.real(type(self).__name__, h=h)
        h = jnp.asarray(h)
        if jnp.ndim(h) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: the prompt h must have shape (n, m) or (batch, n, m), "
                f"got {jnp.shape(h)}"
            )
        weights = [getattr(self, name)[...] for name in self.fields]
        one = functools.partial(head, precision=self.precision)
        if head in (attention.lsa, attention.elsa) and self._keys_first(h):
            whole = functools.partial(many_heads.sum_of_heads, precision=self.precision)
            if jnp.ndim(h) == 2:
                return whole(h, *weights)
            return jax.vmap(whole, in_axes=(0, *(None for _ in weights)))(h, *weights)
        heads = jax.vmap(one, in_axes=(None, *(0 for _ in weights)))
        if jnp.ndim(h) == 2:
            return heads(h, *weights).sum(axis=0)
        batch = jax.vmap(heads, in_axes=(0, *(None for _ in weights)))
        return batch(h, *weights).sum(axis=1)

    def _keys_first(self, h: Array) -> bool:
        """Whether all heads at once cost less, on a prompt of the layer's own sizes."""
        heads, m, p = self.wq.shape[-3:]
        rows = {name: getattr(self, name).shape[-2] for name in self.fields}.get("bv", h.shape[-2])
        fits = h.shape[-2:] == (rows, m) and self.wq.ndim == 3
        return fits and many_heads.serves(rows, m, p, heads, biased="bv" in self.fields)


@functools.cache  # tracing a constructor takes 30 ms, filling in the weights 1 ms
def _skeleton(cls: type[AttentionHeads], dtype: np.dtype, precision: str) -> tuple[Any, Any]:
    """The structure of a module without values, of one size, as all its arrays are set."""
    sizes = [1] * (4 if "bq" in cls.fields else 3)
    build: Callable[..., AttentionHeads] = cls

    def made(key: Array) -> AttentionHeads:
        return build(*sizes, dtype=dtype, precision=precision, rngs=nnx.Rngs(params=key))

    # the key is an argument: a constant one would draw the weights, and compile each draw, where
    # jax evaluates what it can at once (`ensure_compile_time_eval`)
    return nnx.split(nnx.eval_shape(made, jax.eval_shape(jax.random.key, 0)))
