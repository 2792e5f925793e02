"""Softmax regression in a matrix X, as of attention: losses, gradient, Hessian-vector product.

A1 [n1, d1], A2 [n2, d2], X [d1, d2], B [n1, n2], Z = A1 X A2^T, F the softmax of each row of Z,
U = exp(Z), and in |.|_F the Frobenius norm

    normalized:  L = |F - B|_F^2 / 2         rescaled:  L = |U - rowsum(U) * B|_F^2 / 2

The paper has n1 = n2 = n, d1 = d2 = d: Gao, Song, Xie (arXiv:2307.02419), whose losses lack the
factor 1/2. Nothing here forms the Kronecker product of A1 and A2 or a matrix of d1 d2 columns,
`matrix_dense_hessian` apart. Z goes through in slabs of rows. Derivations:
docs/softmax_regression.md.
"""

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs


@exact
def matrix_probabilities(
    x: Float[ArrayLike, "d1 d2"], a1: Float[ArrayLike, "n1 d1"], a2: Float[ArrayLike, "n2 d2"]
) -> Float[Array, "n1 n2"]:
    """F = D(X)^{-1} exp(A1 X A2^T), the attention of queries A1 to keys A2; logits of any size.

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, or logits
        that are not.
    """
    left, right, weights = inputs.arrays(
        "matrix_probabilities", a1=(a1, "n1 d1"), a2=(a2, "n2 d2"), x=(x, "d1 d2")
    )
    value = jax.nn.softmax(left @ weights @ right.T, axis=1)
    inputs.refuse_overflow("matrix_probabilities", "normalized", value, left, weights, right.T)
    return value


@exact
def matrix_loss(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, ""]:
    """|F - B|_F^2 / 2, or |U - rowsum(U) * B|_F^2 / 2 for kind "rescaled".

    Args:
      x: weights, [d1, d2].
      a1, a2: data, [n1, d1] and [n2, d2].
      b: labels, [n1, n2], any finite numbers.
      kind: "normalized" or "rescaled".

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, an unknown
        kind, or a loss that overflows; under jit an overflow gives infinity or NaN instead.
      TypeError: for arrays that do not hold real numbers.
    """
    left, right, labels, weights = inputs.matrix("matrix_loss", kind, a1=a1, a2=a2, b=b, x=x)
    value = formulas.matrix_loss(weights, left, right, labels, kind=kind)
    inputs.refuse_overflow("matrix_loss", kind, value, left, weights, right.T)
    return value


@exact
def matrix_log_loss(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "rescaled",
) -> Float[Array, ""]:
    """log L, finite for logits of any size: log-sum-exp of the rows' own (`log_loss`).

    Raises:
      ValueError, TypeError: as `matrix_loss`, the overflow apart.
    """
    left, right, labels, weights = inputs.matrix("matrix_log_loss", kind, a1=a1, a2=a2, b=b, x=x)
    return formulas.matrix_log_loss(weights, left, right, labels, kind=kind)


@exact
def matrix_gradient(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, "d1 d2"]:
    """The gradient of `matrix_loss` in X, with C = F - B and R = U - rowsum(U) * B.

        normalized:  A1^T [F * (C - rowsum(F * C))] A2
        rescaled:    A1^T [U * (R - rowsum(B * R))] A2

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    left, right, labels, weights = inputs.matrix("matrix_gradient", kind, a1=a1, a2=a2, b=b, x=x)
    value = formulas.matrix_gradient(weights, left, right, labels, kind=kind)
    inputs.refuse_overflow("matrix_gradient", kind, value, left, weights, right.T)
    return value


@exact
def matrix_hvp(
    x: Float[ArrayLike, "d1 d2"],
    v: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, "d1 d2"]:
    """The Hessian of `matrix_loss` at X applied to V, at the cost of one and a half gradients.

    With dZ = A1 V A2^T, and dF = F * (dZ - rowsum(F * dZ)) or dU = U * dZ,
    dR = dU - rowsum(dU) * B,

        normalized:  A1^T [dF * (C - rowsum(F * C)) + F * (dF - rowsum(dF * C + F * dF))] A2
        rescaled:    A1^T [dU * (R - rowsum(B * R)) + U * (dR - rowsum(B * dR))] A2

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    left, right, labels, weights, along = inputs.matrix(
        "matrix_hvp", kind, a1=a1, a2=a2, b=b, x=x, v=v
    )
    value = formulas.matrix_hvp(weights, along, left, right, labels, kind=kind)
    inputs.refuse_overflow("matrix_hvp", kind, value, left, weights, right.T)
    return value


@exact
def matrix_dense_hessian(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> Float[Array, "d1*d2 d1*d2"]:
    """The Hessian in the row-major vec(X), for small cases: sum_i (a_i a_i^T) kron (A2^T M_i A2).

    a_i is row i of A1, M_i the Hessian of row i's loss in its logits. It holds (d1 d2)^2 numbers.

    Raises:
      ValueError, TypeError: as `matrix_loss`.
    """
    left, right, labels, weights = inputs.matrix(
        "matrix_dense_hessian", kind, a1=a1, a2=a2, b=b, x=x
    )
    value = formulas.matrix_dense_hessian(weights, left, right, labels, kind=kind)
    inputs.refuse_overflow("matrix_dense_hessian", kind, value, left, weights, right.T)
    return value
