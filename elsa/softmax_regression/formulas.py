"""The losses, gradients and Hessian-vector products as formulas of the logits, nothing checked.

One row of logits z = A x is all the mathematics there is. The matrix problem is a sum of rows that
share X: row i has the data A2, the labels b_i and the weights x_i = X^T a_i, with a_i row i of A1;
a single problem is one row, of the weights themselves. Gradient and product are A1^T times the
rows' own, and the rows go through in slabs that stay in the cache. exp, * and / are elementwise,
<., .> is the dot product.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elsa.base.arrays import Number
from elsa.base.jit import jitted

SLAB = 2**18  # entries of A1 X A2^T in flight, 2 MB of float64: as much as a core's cache holds


class Data(NamedTuple):
    """Queries, keys and labels of a problem, in one dtype; without queries, of a single one.

    weights, l2: of the rows and of |X|_F^2 / 2; None for ones, and for none.
    """

    a1: Float[Array, "n1 d1"] | None
    a2: Float[Array, "n2 d2"]
    b: Float[Array, "*labels"]
    weights: Float[Array, " n1"] | None = None
    l2: Float[Array, ""] | None = None

    @property
    def labels(self) -> Float[Array, "n1 n2"]:
        return self.b.reshape(-1, len(self.a2))

    def weighed(self, rows: Array) -> Array:
        """What is computed row by row, times the rows' weights."""
        if self.weights is None:
            return rows
        return rows * self.weights.reshape(-1, *([1] * (rows.ndim - 1)))


class Kind(NamedTuple):
    """One of the losses on one row of logits: L = |r|^2 / 2, or `value`.

    residual: (z, b) -> (r e^{-m}, m), with m = 0 unless r can overflow.
    pull: (z, b) -> g, the gradient of L in z.
    push: (z, dz, b) -> the derivative of g along dz.
    curvature: (z, b) -> the Hessian of L in z, [n, n].
    value: (z, b) -> L, of a loss that is no square.
    """

    residual: Callable[..., tuple[Float[Array, " n"], Float[Array, ""]]]
    pull: Callable[..., Float[Array, " n"]]
    push: Callable[..., Float[Array, " n"]]
    curvature: Callable[..., Float[Array, "n n"]]
    value: Callable[..., Float[Array, ""]] | None = None


def _normalized_residual(z: Array, b: Array) -> tuple[Array, Array]:
    """c = f - b with f = exp(z) / <exp(z), 1>."""
    return jax.nn.softmax(z) - b, jnp.zeros((), z.dtype)


def _normalized_pull(z: Array, b: Array) -> Array:
    """g = J c = f * (c - <f, c>), J = diag(f) - f f^T."""
    f = jax.nn.softmax(z)
    c = f - b
    return f * (c - jnp.sum(f * c))


def _normalized_push(z: Array, dz: Array, b: Array) -> Array:
    """df * (c - <f, c>) + f * (df - <df, c> - <f, df>), df = f * (dz - <f, dz>)."""
    f = jax.nn.softmax(z)
    c = f - b
    df = f * (dz - jnp.sum(f * dz))
    return df * (c - jnp.sum(f * c)) + f * (df - jnp.sum(df * c) - jnp.sum(f * df))


def _normalized_curvature(z: Array, b: Array) -> Array:
    """J^2 + diag(g) - g f^T - f g^T."""
    f, g = jax.nn.softmax(z), _normalized_pull(z, b)
    jacobian = jnp.diag(f) - jnp.outer(f, f)
    return jacobian @ jacobian + jnp.diag(g) - jnp.outer(g, f) - jnp.outer(f, g)


def _rescaled_residual(z: Array, b: Array) -> tuple[Array, Array]:
    """rho e^{-m} and m = max(z), rho = u - <u, 1> b, u = exp(z)."""
    largest = jax.lax.stop_gradient(jnp.max(z))
    u = jnp.exp(z - largest)
    return u - jnp.sum(u) * b, largest


def _rescaled_pull(z: Array, b: Array) -> Array:
    """u * (rho - <b, rho>)."""
    u = jnp.exp(z)
    rho = u - jnp.sum(u) * b
    return u * (rho - jnp.sum(b * rho))


def _rescaled_push(z: Array, dz: Array, b: Array) -> Array:
    """du * (rho - <b, rho>) + u * (drho - <b, drho>), du = u * dz, drho = du - <du, 1> b."""
    u = jnp.exp(z)
    du = u * dz
    rho, drho = u - jnp.sum(u) * b, du - jnp.sum(du) * b
    return du * (rho - jnp.sum(b * rho)) + u * (drho - jnp.sum(b * drho))


def _rescaled_curvature(z: Array, b: Array) -> Array:
    """diag(u) P^T P diag(u) + diag(u * (P^T rho)), P = I - b 1^T."""
    u = jnp.exp(z)
    change = jnp.eye(len(z), dtype=z.dtype) - jnp.outer(b, jnp.ones_like(b))
    inner = change * u[None, :]
    return inner.T @ inner + jnp.diag(_rescaled_pull(z, b))


def _entropy_value(z: Array, b: Array) -> Array:
    """-<b, log f>."""
    return -jnp.sum(b * jax.nn.log_softmax(z))


def _entropy_pull(z: Array, b: Array) -> Array:
    """<b, 1> f - b, here as its residual, too."""
    return jnp.sum(b) * jax.nn.softmax(z) - b


def _entropy_residual(z: Array, b: Array) -> tuple[Array, Array]:
    return _entropy_pull(z, b), jnp.zeros((), z.dtype)


def _entropy_push(z: Array, dz: Array, b: Array) -> Array:
    """<b, 1> f * (dz - <f, dz>)."""
    f = jax.nn.softmax(z)
    return jnp.sum(b) * f * (dz - jnp.sum(f * dz))


def _entropy_curvature(z: Array, b: Array) -> Array:
    """<b, 1> J."""
    f = jax.nn.softmax(z)
    return jnp.sum(b) * (jnp.diag(f) - jnp.outer(f, f))


SQUARED = ("normalized", "rescaled")
KINDS = {
    "normalized": Kind(
        _normalized_residual, _normalized_pull, _normalized_push, _normalized_curvature
    ),
    "rescaled": Kind(_rescaled_residual, _rescaled_pull, _rescaled_push, _rescaled_curvature),
    "cross_entropy": Kind(
        *(_entropy_residual, _entropy_pull, _entropy_push, _entropy_curvature, _entropy_value)
    ),
}

_by_kind = jitted("kind")


def queried(x: Array, data: Data) -> Float[Array, "n1 d2"]:
    """X^T a_i, the weights of every row; those of a single problem are its one row's."""
    return x[None] if data.a1 is None else data.a1 @ x


def logits(x: Array, data: Data) -> Float[Array, "n1 n2"]:
    """Z = A1 X A2^T."""
    return queried(x, data) @ data.a2.T


def _pulled(rows: Array, data: Data) -> Array:
    """A1^T times the rows' own gradients, in the shape of the weights."""
    return rows[0] if data.a1 is None else data.a1.T @ rows


def _scaled(x: Array, data: Data) -> Array:
    """The penalty's part of a derivative: l2 x."""
    return jnp.zeros_like(x) if data.l2 is None else data.l2 * x


def _penalty(x: Array, data: Data) -> Array:
    """l2 |X|_F^2 / 2."""
    return jnp.sum(x * _scaled(x, data)) / 2


@jitted()
def probabilities(x: Array, data: Data) -> Array:
    return jax.nn.softmax(logits(x, data), axis=1).reshape(data.b.shape)


def _row_loss(x: Array, a: Array, b: Array, kind: str) -> Array:
    """|r|^2 / 2, or the kind's own value; a tracer's overflow is infinity."""
    value = KINDS[kind].value
    if value is not None:
        return value(x @ a.T, b)
    residual, exponent = KINDS[kind].residual(x @ a.T, b)
    scaled = jnp.sum(residual**2) / 2
    return scaled if kind == "normalized" else scaled * jnp.exp(exponent) ** 2


def _row_log_loss(x: Array, a: Array, b: Array, kind: str) -> Array:
    """log(|r|^2 / 2) = 2 (m + log s) + log(|r e^{-m} / s|^2 / 2), s the largest entry of r e^{-m}.

    Minus infinity at r = 0, with gradient 0; of a kind with its own value, the logarithm of that.
    """
    if KINDS[kind].value is not None:
        loss = _row_loss(x, a, b, kind)
        return jnp.where(loss > 0, jnp.log(jnp.where(loss > 0, loss, 1)), -jnp.inf)
    residual, exponent = KINDS[kind].residual(x @ a.T, b)
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(residual)))
    size = jnp.where(largest > 0, largest, 1)
    half = jnp.sum((residual / size) ** 2) / 2
    inside = jnp.log(jnp.where(half > 0, half, 1)) + 2 * jnp.log(size)
    return jnp.where(half > 0, 2 * exponent + inside, -jnp.inf)


def _row_gradient(x: Array, a: Array, b: Array, kind: str) -> Array:
    return KINDS[kind].pull(x @ a.T, b) @ a


def _each_row(of_row: Callable[..., Any], data: Data, *weights: Array) -> Any:
    """The function of weights and labels on every row; a slab of rows at a time where many."""
    rows = (*(queried(x, data) for x in weights), data.labels)
    length = max(1, SLAB // data.a2.shape[0])
    if rows[0].shape[0] <= length:
        return jax.vmap(of_row)(*rows)
    return jax.lax.map(lambda row: of_row(*row), rows, batch_size=length)


@_by_kind
def loss(x: Array, data: Data, kind: str) -> Array:
    rows = _each_row(lambda h, b: _row_loss(h, data.a2, b, kind), data, x)
    return jnp.sum(data.weighed(rows)) + _penalty(x, data)


@_by_kind
def log_loss(x: Array, data: Data, kind: str) -> Array:
    rows = _each_row(lambda h, b: _row_log_loss(h, data.a2, b, kind), data, x)
    fits = jnp.all(rows == -jnp.inf)  # where the derivative of logsumexp is NaN
    return jnp.where(fits, -jnp.inf, jax.nn.logsumexp(jnp.where(fits, 0, rows)))


@_by_kind
def gradient(x: Array, data: Data, kind: str) -> Array:
    rows = _each_row(lambda h, b: _row_gradient(h, data.a2, b, kind), data, x)
    return _pulled(data.weighed(rows), data) + _scaled(x, data)


@_by_kind
def loss_and_gradient(x: Array, data: Data, kind: str) -> tuple[Array, Array]:
    """Both, from one pass over the logits."""

    def of_row(h: Array, b: Array) -> tuple[Array, Array]:
        return _row_loss(h, data.a2, b, kind), _row_gradient(h, data.a2, b, kind)

    losses, gradients = _each_row(of_row, data, x)
    total = jnp.sum(data.weighed(losses)) + _penalty(x, data)
    return total, _pulled(data.weighed(gradients), data) + _scaled(x, data)


@_by_kind
def hvp(x: Array, v: Array, data: Data, kind: str) -> Array:
    def of_row(h: Array, dh: Array, b: Array) -> Array:
        return KINDS[kind].push(h @ data.a2.T, dh @ data.a2.T, b) @ data.a2

    return _pulled(data.weighed(_each_row(of_row, data, x, v)), data) + _scaled(v, data)


@_by_kind
def dense_hessian(x: Array, data: Data, kind: str) -> Array:
    """sum_i (a_i a_i^T) kron (A2^T M_i A2), M_i the curvature of row i."""

    def of_row(h: Array, b: Array) -> Array:
        return data.a2.T @ KINDS[kind].curvature(h @ data.a2.T, b) @ data.a2

    blocks = data.weighed(jax.vmap(of_row)(queried(x, data), data.labels))
    ridge = _scaled(jnp.eye(x.size, dtype=x.dtype), data)
    if data.a1 is None:
        return blocks[0] + ridge
    whole = jnp.einsum("ip,iq,irs->prqs", data.a1, data.a1, blocks)
    return whole.reshape(x.size, x.size) + ridge


@jitted("kind", "steps")
def gradient_path(x: Array, data: Data, step_size: Number, *, kind: str, steps: int) -> Array:
    """x_0 .. x_T of x <- x - eta gradient."""

    def step(x: Array, _: None) -> tuple[Array, Array]:
        after = x - step_size * gradient(x, data, kind=kind)
        return after, after

    _, path = jax.lax.scan(step, x, length=steps)
    return jnp.concatenate([x[None], path])
