"""The tensor trick: the matrix problem as one in the vector vec(X), with A1 kron A2 as data.

In row-major order vec(A1 X A2^T) = (A1 kron A2) vec(X). Row i of Z is a_i^T X A2^T =
(a_i^T kron A2) vec(X), so that the matrix loss is a sum of n1 single losses with the data
a_i^T kron A2, [n2, d1 d2], which share x = vec(X). The Kronecker product holds n1 n2 d1 d2 numbers:
these functions state the equivalence and serve small cases; `matrix_loss` and its kin do without.
Gao, Song, Xie (arXiv:2307.02419).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs


def kronecker_rows(
    a1: Float[ArrayLike, "n1 d1"], a2: Float[ArrayLike, "n2 d2"]
) -> Float[Array, "n1 n2 d1*d2"]:
    """A1 kron A2, its rows grouped: entry i is a_i^T kron A2, the data of the i-th single problem.

    Raises:
      ValueError: for arrays that are empty, no matrices, or not finite.
    """
    left, right = inputs.arrays("kronecker_rows", a1=(a1, "n1 d1"), a2=(a2, "n2 d2"))
    return jax.vmap(lambda row: jnp.kron(row[None, :], right))(left)


@exact
def vectorised_loss(
    x: Float[ArrayLike, " d1*d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, ""]:
    """sum_i of `loss`(x, a_i^T kron A2, b_i), which is `matrix_loss` at X = x.reshape(d1, d2).

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    rows, labels, weights = _rows("vectorised_loss", kind, x, a1, a2, b)
    of_row = jax.vmap(lambda a, row: formulas.loss(weights, a, row, kind=kind))
    return _finite("vectorised_loss", kind, of_row(rows, labels).sum(axis=0), rows, weights)


@exact
def vectorised_gradient(
    x: Float[ArrayLike, " d1*d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, " d1*d2"]:
    """sum_i of `gradient`, which is vec of `matrix_gradient`.

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    rows, labels, weights = _rows("vectorised_gradient", kind, x, a1, a2, b)
    of_row = jax.vmap(lambda a, row: formulas.gradient(weights, a, row, kind=kind))
    return _finite("vectorised_gradient", kind, of_row(rows, labels).sum(axis=0), rows, weights)


@exact
def vectorised_hvp(
    x: Float[ArrayLike, " d1*d2"],
    v: Float[ArrayLike, " d1*d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, " d1*d2"]:
    """sum_i of `hvp`, which is vec of `matrix_hvp`.

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    rows, labels, weights, along = _rows("vectorised_hvp", kind, x, a1, a2, b, v=v)
    of_row = jax.vmap(lambda a, row: formulas.hvp(weights, along, a, row, kind=kind))
    return _finite("vectorised_hvp", kind, of_row(rows, labels).sum(axis=0), rows, weights)


def _rows(
    where: str,
    kind: str,
    x: ArrayLike,
    a1: ArrayLike,
    a2: ArrayLike,
    b: ArrayLike,
    **vectors: ArrayLike,
) -> list[jax.Array]:
    """The Kronecker rows, the labels, x and the other vectors, checked."""
    left, right, labels = inputs.matrix(where, kind, a1=a1, a2=a2, b=b)
    rows = kronecker_rows(left, right)
    size = rows.shape[2]
    vectors = {"x": x, **vectors}
    for name, vector in vectors.items():
        if np.shape(vector) != (size,):
            raise ValueError(
                f"{where}: {name} must have shape (d1*d2={size},), got {np.shape(vector)}"
            )
    weights = inputs.arrays(where, **{name: (vector, "size") for name, vector in vectors.items()})
    return inputs.floats(rows, labels, *weights)


def _finite(where: str, kind: str, result: jax.Array, rows: jax.Array, x: jax.Array) -> jax.Array:
    inputs.refuse_overflow(where, kind, result, rows.reshape(-1, rows.shape[2]), x)
    return result
