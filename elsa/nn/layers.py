"""Multi-head LSA and ELSA modules: parameters and batching, nothing else."""

import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from elsa import attention
from elsa.base.precision import EXACT
from elsa.heads.head import HeadWeights
from elsa.nn.attention_heads import AttentionHeads


class LSA(AttentionHeads):
    """Sum of linear self-attention heads, without the skip.

        sum_h (H Wq_h) (H Wk_h)^T (H Wv_h)

    Args:
      channels: m, channels of the prompt.
      key_size: p, width of queries and keys.
      num_heads: heads that are summed.
      init_scale: standard deviation of what is drawn.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products: "highest", "high" or "default".
      rngs: the stream `params` draws the weights.

    Attributes:
      wq, wk: [heads, m, p].
      wv: [heads, m, m].

    Raises:
      ValueError: for a size below 1, an unknown precision, or float64 without jax's x64 switch.
    """

    fields = ("wq", "wk", "wv")

    def __call__(self, h: Float[Array | np.ndarray, "*batch n m"]) -> Float[Array, "*batch n m"]:
        """The heads' sum on one prompt [n, m] or on a batch [batch, n, m].

        Raises:
          ValueError: where the prompt's channels are not the module's.
        """
        return self._sum(attention.lsa, h)


class ELSA(AttentionHeads):
    """Sum of extended linear self-attention heads, without the skip.

        sum_h (H Wq_h + Bq_h) (H Wk_h + Bk_h)^T (H Wv_h + Bv_h)

    Args:
      rows: n, rows of the prompt, which the biases fix.
      channels: m, channels of the prompt.
      key_size: p, width of queries and keys.
      num_heads: heads that are summed.
      init_scale: standard deviation of what is drawn.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products: "highest", "high" or "default".
      rngs: the stream `params` draws weights and biases.

    Attributes:
      wq, wk: [heads, m, p].
      wv: [heads, m, m].
      bq, bk: [heads, n, p].
      bv: [heads, n, m].

    Raises:
      ValueError: for a size below 1, an unknown precision, or float64 without jax's x64 switch.
    """

    fields = HeadWeights._fields
    bq: nnx.Param[Array]
    bk: nnx.Param[Array]
    bv: nnx.Param[Array]

    def __init__(
        self,
        rows: int,
        channels: int,
        key_size: int,
        num_heads: int = 1,
        *,
        init_scale: Float[ArrayLike, ""] = 0.02,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        self._draw(
            num_heads,
            dtype,
            precision,
            rngs,
            init_scale,
            rows=("n", rows),
            channels=("m", channels),
            key_size=("p", key_size),
        )

    def __call__(self, h: Float[Array | np.ndarray, "*batch n m"]) -> Float[Array, "*batch n m"]:
        """The heads' sum on one prompt [n, m] or on a batch [batch, n, m].

        Raises:
          ValueError: where the prompt's rows or channels are not the module's.
        """
        return self._sum(attention.elsa, h)
