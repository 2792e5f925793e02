"""Gram matrices of normal rows, drawn without the rows.

The Gram matrix of n rows N(0, I_m) is T T^T with T lower triangular and independent entries
(Bartlett 1933): column j = 0, 1, ... holds T_jj = sqrt(chi^2 with n - j degrees of freedom) and
N(0, 1) below. It is the triangle of Z^T = T Q, which for n < m has n columns: the others are zero.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from elsa.base import checks
from elsa.base.arrays import Number
from elsa.base.jit import jitted
from elsa.tasks.gamma import chi_square
from elsa.tasks.prompt import whole_number


class Triangle(NamedTuple):
    """T for rows [z, e] of d standard covariates and one standard label noise.

    covariates: [batch, d, d], the rows of z.
    noise: [batch, d], the row of e below them.
    last: [batch], its diagonal entry.
    """

    covariates: Float[Array, "batch d d"]
    noise: Float[Array, "batch d"]
    last: Float[Array, " batch"]


class Centre(NamedTuple):
    """sqrt(n) times the mean of the rows [x, y].

    covariates: [batch, d].
    labels: [batch].
    """

    covariates: Float[Array, "batch d"]
    labels: Float[Array, " batch"]


@jitted("batch", "dim")
def triangle(key: Array, batch: int, dim: int, degrees: int | Int[Array, ""]) -> Triangle:
    """T for `degrees` rows, d + 1 wide; `degrees` may be a tracer, 0 and above."""
    diagonal_key, below_key = jax.random.split(key)
    width = dim + 1
    columns = jnp.arange(width)
    diagonal_BxM = jnp.sqrt(chi_square(diagonal_key, degrees - columns, (batch, width)))
    rows, cols = np.tril_indices(width, -1)
    below = jax.random.normal(below_key, (batch, len(rows)))
    whole_BxMxM = jnp.zeros((batch, width, width), below.dtype).at[:, rows, cols].set(below)
    whole_BxMxM = jnp.where((columns < degrees)[None, None, :], whole_BxMxM, 0.0)
    whole_BxMxM = whole_BxMxM + diagonal_BxM[:, :, None] * jnp.eye(width)[None]
    return Triangle(whole_BxMxM[:, :dim, :dim], whole_BxMxM[:, dim, :dim], diagonal_BxM[:, dim])


@jitted()
def joint_gram(
    drawn: Triangle,
    weight: Float[Array, "batch d"],
    noise_var: Number,
    *,
    centre: Centre | None = None,
) -> Float[Array, "batch d+1 d+1"]:
    """[X y]^T [X y] for y = X w + noise, where A = drawn.covariates is a factor of X^T X.

    With s = sqrt(noise_var), e and t the rest of the triangle, and v = A^T w + s e,

        X^T X = A A^T,   X^T y = A v,   y^T y = |v|^2 + (s t)^2,

    to which the outer product of the centre is added.

    Args:
      drawn: a triangle whose covariates have been multiplied by the root of their covariance.
      weight: w.
      centre: where the rows have a mean; the triangle then has one row less than the context.
    """
    deviation = jnp.sqrt(jnp.asarray(noise_var, dtype=weight.dtype))
    factor_BxDxD = drawn.covariates
    v_BxD = jnp.einsum("bde,bd->be", factor_BxDxD, weight) + deviation * drawn.noise
    xx_BxDxD = factor_BxDxD @ jnp.swapaxes(factor_BxDxD, 1, 2)
    xy_BxD = jnp.einsum("bde,be->bd", factor_BxDxD, v_BxD)
    yy_B = jnp.sum(v_BxD**2, axis=1) + (deviation * drawn.last) ** 2
    if centre is not None:
        middle_BxD = centre.covariates
        xx_BxDxD = xx_BxDxD + middle_BxD[:, :, None] * middle_BxD[:, None, :]
        xy_BxD = xy_BxD + middle_BxD * centre.labels[:, None]
        yy_B = yy_B + centre.labels**2
    top_BxDxM = jnp.concatenate([xx_BxDxD, xy_BxD[:, :, None]], axis=2)
    bottom_BxM = jnp.concatenate([xy_BxD, yy_B[:, None]], axis=1)
    return jnp.concatenate([top_BxDxM, bottom_BxM[:, None, :]], axis=1)


def rows_asked(
    where: str, length: int | Int[Array, ""] | None, context_length: int
) -> int | Int[Array, ""]:
    """The length asked for, `context_length` where None; a concrete one is at least 1.

    Raises:
      TypeError, ValueError: for a concrete length that is not an integer above 0.
    """
    if length is None:
        return context_length
    return whole_number(where, length, 1) if checks.is_concrete(length) else length
