"""In context: new weights on old data are old weights on shifted data, and by how much.

For any x and x' the residual at x' with the labels b is the residual at x with the labels
b~ = b - (f(x') - f(x)). So L(x'; A, b) = L(x; A, b~): an update of the weights is a shift of the
labels, and as softmax moves by at most ||A|| / 2 a unit, |b~ - b| <= ||A|| |x' - x| / 2. It is
value and residual that agree; gradients are taken at different points. Gao, Song, Xie
(arXiv:2307.02419), whose bound has exp(O(R^2)) in place of 1/2; docs/softmax_regression.md.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elsa.base.jit import jitted
from elsa.softmax_regression import formulas
from elsa.softmax_regression.bounds import label_operator_norm
from elsa.softmax_regression.formulas import Data


class LabelShift(NamedTuple):
    """Labels that give the old logits the residual that b gives the new ones.

    b: b~, of b's shape.
    size: |b~ - b|, for matrices the Frobenius norm.
    bound: what it cannot exceed; a few units of rounding are added, as it can be attained.
    """

    b: Float[Array, "..."]
    size: Float[Array, "..."]
    bound: Float[Array, "..."]


class DataShift(NamedTuple):
    """Data that give the old weights the logits of the new ones.

    a: A~ with A~ x = A x', A1~ with A1~ X = A1 X', or A2~ with A2~ X^T = A2 X'^T; NaN where there
      are none.
    size: ||A~ - A||, spectral norm.
    bound: what it cannot exceed, rounding added; infinite where there are none.
    """

    a: Float[Array, "..."]
    size: Float[Array, "..."]
    bound: Float[Array, "..."]


class WeightShift(NamedTuple):
    """A change of the weights as a change of the labels, and as a change of the data."""

    labels: LabelShift
    data: DataShift


class TrajectoryShift(NamedTuple):
    """Shifts along a path x_0 .. x_T, stacked along the first axis, [T, ...].

    steps: of x_t seen from x_{t-1}: what each step does.
    total: of x_t seen from x_0, where all of training is done by the data.
    """

    steps: WeightShift
    total: WeightShift


@jitted("kind", "side")
def of_weights(x: Array, x_next: Array, data: Data, *, kind: str, side: str) -> WeightShift:
    """The shifts that replace a step from x to x_next; side: the data that move."""
    change = x_next - x
    moved = formulas.queried(change, data)
    rows = upward(_row_lengths(moved) * spectral(data.a2), x, data.a2)
    factors = [a for a in (data.a1, data.a2) if a is not None]
    reach = upward(math.prod(map(spectral, factors)) * length(change), *factors)
    z, dz = formulas.logits(x, data), moved @ data.a2.T
    labels = _label_shift(z, dz, data.b, reach, rows, kind)
    if side == "queries" and data.a1 is not None:
        return WeightShift(labels, _data_shift(data.a1, x, x_next))
    # A2 on X^T is A1 on X, transposed
    return WeightShift(labels, _data_shift(data.a2, *(jnp.atleast_2d(w).T for w in (x, x_next))))


@jitted("kind", "side")
def along_path(path: Array, data: Data, *, kind: str, side: str) -> TrajectoryShift:
    """The shifts that replace every step of a path, and all steps so far."""
    move: Callable[..., WeightShift]
    move = jax.vmap(lambda x, y: of_weights(x, y, data, kind=kind, side=side))
    first = jnp.broadcast_to(path[:1], path[1:].shape)
    return TrajectoryShift(move(path[:-1], path[1:]), move(first, path[1:]))


@jitted("kind")
def of_context(x: Array, before: Data, after: Data, *, kind: str) -> LabelShift:
    """Labels that give the data before the move the residual of those after it."""
    change = after.a2 - before.a2
    queried = formulas.queried(x, after)
    moved, rows = queried @ change.T, _row_lengths(queried) * spectral(change)
    if before.a1 is not None and after.a1 is not None:
        turned = (after.a1 - before.a1) @ x
        moved += turned @ before.a2.T
        rows += _row_lengths(turned) * spectral(before.a2)
    rows = upward(rows, x, before.a2)
    return _label_shift(formulas.logits(x, before), moved, after.b, length(rows), rows, kind)


def _data_shift(a: Array, x: Array, x_next: Array) -> DataShift:
    """A~ = A + A (X' - X) X^+: A~ X = A X' where X^+ X = I, full column rank, up to rounding."""
    change = x_next - x
    moved = a @ change
    values = jnp.linalg.svd(_decomposable(x), compute_uv=False).astype(x.dtype)
    rounding = max(x.shape) * jnp.finfo(x.dtype).eps * values[0]
    invertible = (x.shape[0] >= x.shape[1]) & (values[-1] > rounding)
    smallest = jnp.where(invertible, values[-1], 1)
    added = moved @ jnp.linalg.pinv(_decomposable(x)).astype(x.dtype)
    bound = upward(spectral(a) * spectral(change) / smallest, a, x)
    still = jnp.all(moved == 0)  # then the data may stay
    exists = invertible | still
    return DataShift(
        a + jnp.where(exists, added, jnp.nan),
        jnp.where(exists, spectral(added), jnp.nan),
        jnp.where(invertible, bound, jnp.where(still, 0, jnp.inf)),
    )


def _label_shift(z: Array, dz: Array, b: Array, reach: Array, rows: Array, kind: str) -> LabelShift:
    """B~ for logits Z that move by dZ; `reach` bounds |dZ|_F and `rows` the lengths of its rows."""
    labels = b.reshape(z.shape)
    added = jax.vmap(functools.partial(_label_change, kind=kind))(z, dz, labels).reshape(b.shape)
    if kind == "normalized":
        bound = reach / 2
    else:
        largest = jnp.max(jax.nn.softmax(z, axis=1), axis=1)
        bound = length(label_operator_norm(labels) * largest * jnp.expm1(rows))
    return LabelShift(b + added, length(added), upward(bound, b))


def _label_change(z: Array, dz: Array, b: Array, kind: str) -> Array:
    """b~ - b for one row of logits, accurate for small dz, too: differences are taken by expm1.

    With w = exp(dz) - 1, f' - f = f * (w - <f, w> 1) / (1 + <f, w>), and P (u' - u) / alpha =
    f * w - <f, w> b.
    """
    f = jax.nn.softmax(z)
    if kind == "rescaled":
        moved = f * jnp.expm1(dz)
        return jnp.sum(moved) * b - moved
    small = jnp.max(jnp.abs(dz)) < 1
    w = jnp.expm1(jnp.where(small, dz, 0))
    mean = jnp.sum(f * w)
    return jnp.where(small, -f * (w - mean) / (1 + mean), f - jax.nn.softmax(z + dz))


def length(array: Array) -> Array:
    """The norm of all entries, for entries whose squares underflow or overflow, too."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(array)))
    size = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return size * jnp.sqrt(jnp.sum((array / size) ** 2))


def _row_lengths(matrix: Array) -> Array:
    return jax.vmap(length)(matrix)


def spectral(matrix: Array) -> Array:
    norm: Array = jnp.linalg.norm(_decomposable(matrix), ord=2).astype(matrix.dtype)
    return norm


def _decomposable(matrix: Array) -> Array:
    """In float32 at least, as LAPACK knows no smaller numbers."""
    return matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))


def upward(bound: Array, *data: Array) -> Array:
    """A bound plus the rounding of sums over the axes of the data, so that it holds as computed."""
    terms = sum(sum(array.shape) for array in data)
    return bound * (1 + 4 * (terms + 1) * jnp.finfo(bound.dtype).eps)
