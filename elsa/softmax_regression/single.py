"""Softmax regression in one vector x: losses, gradient, Hessian-vector product.

A [n, d], x [d], b [n], z = A x, and with f = exp(z)/<exp(z), 1>, u = exp(z), alpha = <u, 1>

    normalized:  L = |f - b|^2 / 2           rescaled:  L = |u - alpha b|^2 / 2

b is any vector of finite numbers, not only a probability vector. Gao, Song, Xie (arXiv:2307.02419),
whose losses lack the factor 1/2. Derivations: docs/softmax_regression.md.
"""

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs


@exact
def probabilities(x: Float[ArrayLike, " d"], a: Float[ArrayLike, "n d"]) -> Float[Array, " n"]:
    """f = exp(A x) / <exp(A x), 1>, for logits of any size.

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, or logits
        that are not.
    """
    data, weights = inputs.arrays("probabilities", a=(a, "n d"), x=(x, "d"))
    value = jax.nn.softmax(data @ weights)
    inputs.refuse_overflow("probabilities", "normalized", value, data, weights)
    return value


@exact
def loss(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> Float[Array, ""]:
    """|f - b|^2 / 2, or |u - alpha b|^2 / 2 for kind "rescaled".

    The normalized loss takes logits of any size. The rescaled one overflows at logits of about 350
    in float64 and 44 in float32; `log_loss` does not.

    Args:
      x: weights, [d].
      a: data, [n, d].
      b: labels, [n], any finite numbers.
      kind: "normalized" or "rescaled".

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, an unknown
        kind, or a loss that overflows; under jit an overflow gives infinity or NaN instead.
      TypeError: for arrays that do not hold real numbers.
    """
    data, labels, weights = inputs.single("loss", kind, a=a, b=b, x=x)
    value = formulas.loss(weights, data, labels, kind=kind)
    inputs.refuse_overflow("loss", kind, value, data, weights)
    return value


@exact
def log_loss(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "rescaled",
) -> Float[Array, ""]:
    """log L, finite for logits of any size: log L = 2 m + log(|e^{-m} r|^2 / 2), m = max(A x).

    r is the residual. Minus infinity where r is exactly 0. Its gradient is that of L over L.

    Args:
      x, a, b: as for `loss`.
      kind: the rescaled loss by default, as the normalized one needs no logarithm.

    Raises:
      ValueError, TypeError: as `loss`, the overflow apart.
    """
    data, labels, weights = inputs.single("log_loss", kind, a=a, b=b, x=x)
    return formulas.log_loss(weights, data, labels, kind=kind)


@exact
def gradient(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> Float[Array, " d"]:
    """The gradient of `loss` in x.

        normalized:  A^T [f * (c - <f, c> 1)],  c = f - b
        rescaled:    A^T [u * (rho - <b, rho> 1)],  rho = u - alpha b

    Raises:
      ValueError, TypeError: as `loss`.
    """
    data, labels, weights = inputs.single("gradient", kind, a=a, b=b, x=x)
    value = formulas.gradient(weights, data, labels, kind=kind)
    inputs.refuse_overflow("gradient", kind, value, data, weights)
    return value


@exact
def hvp(
    x: Float[ArrayLike, " d"],
    v: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> Float[Array, " d"]:
    """The Hessian of `loss` at x times v, at the cost of one and a half gradients.

    With dz = A v, and df = f * (dz - <f, dz> 1) or du = u * dz, drho = du - <du, 1> b,

        normalized:  A^T [df * (c - <f, c> 1) + f * (df - (<df, c> + <f, df>) 1)]
        rescaled:    A^T [du * (rho - <b, rho> 1) + u * (drho - <b, drho> 1)]

    Raises:
      ValueError, TypeError: as `loss`.
    """
    data, labels, weights, along = inputs.single("hvp", kind, a=a, b=b, x=x, v=v)
    value = formulas.hvp(weights, along, data, labels, kind=kind)
    inputs.refuse_overflow("hvp", kind, value, data, weights)
    return value


@exact
def dense_hessian(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> Float[Array, "d d"]:
    """The Hessian of `loss` as a matrix, for small cases: it forms an [n, n] matrix on the way.

        normalized:  A^T (J^2 + diag(g) - g f^T - f g^T) A,  J = diag(f) - f f^T,  g = J (f - b)
        rescaled:    A^T (diag(u) P^T P diag(u) + diag(u * (P^T rho))) A,  P = I - b 1^T

    Raises:
      ValueError, TypeError: as `loss`.
    """
    data, labels, weights = inputs.single("dense_hessian", kind, a=a, b=b, x=x)
    value = formulas.dense_hessian(weights, data, labels, kind=kind)
    inputs.refuse_overflow("dense_hessian", kind, value, data, weights)
    return value
