"""LSA to whose keys some rows do not belong, so that no row attends to them."""

import functools

from jaxtyping import Array, Float

from elsa.base.precision import products_at
from elsa.nn.attention_heads import AttentionHeads


class MaskedLSA(AttentionHeads):
    """Sum of LSA heads whose keys and values are those of some rows, without the skip.

        sum_h (H Wq_h) (M H Wk_h)^T (H Wv_h),    M = diag(attended)

    With M = I it is `LSA`. In-context learners of one layer are often read so that the query
    attends to the context and not to itself (Li, Rawat, Oymak, arXiv:2407.10005, eq. 3).

    Args:
      all arguments: as `LSA`.

    Attributes:
      wq, wk: [heads, m, p].
      wv: [heads, m, m].
    """

    fields = ("wq", "wk", "wv")

    def __call__(
        self, h: Float[Array, "n m"], attended: Float[Array, "n 1"]
    ) -> Float[Array, "n m"]:
        """The heads' sum on one prompt.

        Args:
          h: the prompt.
          attended: 1 for rows that are attended to, 0 for all others.

        Raises:
          ValueError: where the prompt's channels are not the module's.
        """
        return self._sum(functools.partial(_masked, attended), h)


def _masked(attended: Array, h: Array, wq: Array, wk: Array, wv: Array, *, precision: str) -> Array:
    with products_at("MaskedLSA", precision):
        return (h @ wq) @ ((attended * (h @ wk)).T @ (h @ wv))
