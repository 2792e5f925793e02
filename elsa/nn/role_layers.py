"""ELSA whose biases belong to the roles of rows, so that they serve any number of rows."""

import functools
from typing import Self

import numpy as np
from jaxtyping import Array, Float

from elsa import attention
from elsa.nn.layers import ELSA


class RoleELSA(ELSA):
    """Sum of ELSA heads whose biases are R b: one row of b for each role.

        sum_h (H Wq_h + R bq_h) (H Wk_h + R bk_h)^T (H Wv_h + R bv_h)

    R [n, roles] says what each row of the prompt is (`prompts.packed` makes it). With R = I_n it is
    ELSA itself. The layer is LSA on the prompt [H | R], of which it writes the first m channels.

    Args:
      rows: the number of roles; all others as `ELSA`.

    Attributes:
      wq, wk: [heads, m, p].
      wv: [heads, m, m].
      bq, bk: [heads, roles, p].
      bv: [heads, roles, m].
    """

    def __call__(  # type: ignore[override]  # a layer of rows that mean something takes what
        self, h: Float[Array, "n m"], roles: Float[Array, "n roles"]
    ) -> Float[Array, "n m"]:
        """The heads' sum on one prompt.

        Args:
          h: the prompt.
          roles: R.

        Raises:
          ValueError: where the prompt's channels, or the roles, are not the module's.
        """
        return self._sum(functools.partial(_by_role, roles), h)

    def at_positions(self, roles: Float[Array | np.ndarray, "n roles"]) -> ELSA:
        """The ELSA layer whose biases are R b, for prompts of these rows."""
        weights = self.weights
        rows = {name: np.asarray(roles) @ getattr(weights, name) for name in ("bq", "bk", "bv")}
        return ELSA.from_weights(
            weights._replace(**rows), dtype=self.wq.dtype, precision=self.precision
        )

    @classmethod
    def from_positions(
        cls, layer: ELSA, indicator: Float[np.ndarray, "n roles"], *, where: str
    ) -> Self:
        """The layer whose biases, a row for each position, are equal in all rows of a role.

        Args:
          layer: with biases by position.
          indicator: 1 where a row has the role, else 0; a role that no row has gets zeros.
          where: the caller; messages start with it.

        Raises:
          ValueError: where two rows of one role have different biases.
        """
        weights, count, first = layer.weights, indicator.sum(axis=0), indicator.argmax(axis=0)
        shared = {}
        for name in ("bq", "bk", "bv"):
            biases = np.asarray(getattr(weights, name), np.float64)
            of_role = biases[..., first, :] * (count > 0)[:, None]
            if not np.array_equal(indicator @ of_role, biases):
                raise ValueError(
                    f"{where}: rows that hold examples have different biases in {name}; "
                    "biases='position' keeps them"
                )
            shared[name] = np.sqrt(np.maximum(count, 1.0))[:, None] * of_role
        return cls.from_weights(
            weights._replace(**shared), dtype=layer.wq.dtype, precision=layer.precision
        )


def _by_role(
    roles: Array, h: Array, wq: Array, wk: Array, wv: Array, *biases: Array, precision: str
) -> Array:
    return attention.elsa(h, wq, wk, wv, *(roles @ b for b in biases), precision=precision)
