"""Gram matrices of normal rows, drawn without the rows.

The Gram matrix of n rows N(0, I_m) is T T^T with T lower triangular and independent entries
(Bartlett 1933): column j = 0, 1, ... holds T_jj = sqrt(chi^2 with n - j degrees of freedom) and
N(0, 1) below. It is the triangle of Z^T = T Q, which for n < m has n columns: the others are zero.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from elsa.base import arithmetic, checks, lanes
from elsa.base.arrays import Number
from elsa.base.jit import jitted
from elsa.tasks import draws
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


# (A, w, e) -> v = A^T w + e and A [A^T v], for each of a batch
Products = Callable[[Array, Array, Array], tuple[Array, Array]]


class Centre(NamedTuple):
    """sqrt(n) times the mean of the rows [x, y].

    covariates: [batch, d].
    labels: [batch].
    """

    covariates: Float[Array, "batch d"]
    labels: Float[Array, " batch"]


def triangle(key: Array, batch: int, dim: int, degrees: int | Int[Array, ""]) -> Triangle:
    """T for `degrees` rows, d + 1 wide; `degrees` may be a tracer, 0 and above."""
    return _triangle(key, batch, dim, degrees, arithmetic.version())


@jitted("batch", "dim", "version")
def _triangle(
    key: Array, batch: int, dim: int, degrees: int | Int[Array, ""], version: int
) -> Triangle:
    with arithmetic.as_of(version):
        return _entries(key, batch, dim, degrees)


def _entries(key: Array, batch: int, dim: int, degrees: int | Int[Array, ""]) -> Triangle:
    diagonal_key, below_key = jax.random.split(key)
    width = dim + 1
    columns = jnp.arange(width)
    diagonal_BxM = jnp.sqrt(chi_square(diagonal_key, degrees - columns, (batch, width)))
    rows, cols = np.tril_indices(width, -1)
    below = draws.normal(below_key, (batch, len(rows)))
    whole_BxMxM = jnp.zeros((batch, width, width), below.dtype).at[:, rows, cols].set(below)
    whole_BxMxM = jnp.where((columns < degrees)[None, None, :], whole_BxMxM, 0.0)
    whole_BxMxM = whole_BxMxM + diagonal_BxM[:, :, None] * jnp.eye(width)[None]
    return Triangle(whole_BxMxM[:, :dim, :dim], whole_BxMxM[:, dim, :dim], diagonal_BxM[:, dim])


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
    products = _in_lanes if lanes.serve(*weight.shape) else _one_by_one
    return _joint_gram(drawn, weight, noise_var, centre, products)


def _in_lanes(factor: Array, weight: Array, noise: Array) -> tuple[Array, Array]:
    """All of the batch side by side."""
    a, w, e = (jnp.moveaxis(array, 0, -1) for array in (factor, weight, noise))
    v = lanes.product_of_transpose(a, w[:, None]) + e[:, None]
    right = jnp.concatenate([jnp.swapaxes(a, 0, 1), v], axis=1)
    return jnp.moveaxis(v[:, 0], -1, 0), jnp.moveaxis(lanes.product(a, right), -1, 0)


def _one_by_one(factor: Array, weight: Array, noise: Array) -> tuple[Array, Array]:
    """With the batch as the first axis."""
    v = jnp.einsum("bde,bd->be", factor, weight) + noise
    xx_BxDxD = factor @ jnp.swapaxes(factor, 1, 2)
    xy_BxD = jnp.einsum("bde,be->bd", factor, v)
    return v, jnp.concatenate([xx_BxDxD, xy_BxD[:, :, None]], axis=2)


@jitted("products")  # of which each is a program of its own
def _joint_gram(
    drawn: Triangle, weight: Array, noise_var: Number, centre: Centre | None, products: Products
) -> Array:
    deviation = jnp.sqrt(jnp.asarray(noise_var, dtype=weight.dtype))
    v_BxD, top_BxDxM = products(drawn.covariates, weight, deviation * drawn.noise)
    yy_B = jnp.sum(v_BxD**2, axis=1) + (deviation * drawn.last) ** 2
    if centre is not None:
        rows_BxM = jnp.concatenate([centre.covariates, centre.labels[:, None]], axis=1)
        top_BxDxM = top_BxDxM + centre.covariates[:, :, None] * rows_BxM[:, None, :]
        yy_B = yy_B + centre.labels**2
    bottom_BxM = jnp.concatenate([top_BxDxM[:, :, -1], yy_B[:, None]], axis=1)
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
