"""In context: new weights on old data are old weights on shifted data, and by how much.

For any x and x' the residual at x' with the labels b is the residual at x with the labels
b~ = b - (f(x') - f(x)). So L(x'; A, b) = L(x; A, b~): an update of the weights is a shift of the
labels, and as softmax moves by at most ||A|| / 2 a unit, |b~ - b| <= ||A|| |x' - x| / 2. It is
value and residual that agree; gradients are taken at different points. Gao, Song, Xie
(arXiv:2307.02419), whose bound has exp(O(R^2)) in place of 1/2; docs/softmax_regression.md.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.softmax_regression import inputs
from elsa.softmax_regression.bounds import label_operator_norm


class LabelShift(NamedTuple):
    """Labels that do at the old logits what b does at the new ones.

    b: b~, of b's shape.
    size: |b~ - b|, for matrices the Frobenius norm.
    bound: what it cannot exceed; a few units of rounding are added, as it can be attained.
    """

    b: Float[Array, "..."]
    size: Float[Array, "..."]
    bound: Float[Array, "..."]


class DataShift(NamedTuple):
    """Data that gives the old weights the logits of the new ones.

    a: A~ with A~ x = A x', or A1~ with A1~ X = A1 X'; NaN where there is none.
    size: ||A~ - A||, spectral norm.
    bound: what it cannot exceed, rounding added; infinite where there is none.
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


@exact
def weight_shift(
    x: Float[ArrayLike, " d"],
    x_next: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> WeightShift:
    """What to do to b, or to A, instead of going from x to x_next.

        L(x'; A, b) = L(x; A, b~) = L(x; A~, b)

        normalized:  b~ = b - (f(x') - f(x)),          |b~ - b| <= r / 2
        rescaled:    b~ = b - P (u' - u) / alpha,      |b~ - b| <= ||P|| max(f) (exp(r) - 1)
        both:        A~ = A + A (x' - x) x^T / |x|^2,  ||A~ - A|| <= r / |x|

    with r = ||A|| |x' - x|, P = I - b 1^T, and f, u, alpha at x. At x = 0 every A~ gives the logits
    0, so that there is none: NaN, with an infinite bound, unless A (x' - x) is 0, too.

    Args:
      x, x_next: weights before and after, [d].
      a, b: data, [n, d], and labels, [n].
      kind: "normalized" or "rescaled".

    Raises:
      ValueError, TypeError: as `loss`, the overflow apart.
    """
    data, labels, before, after = inputs.single("weight_shift", kind, a=a, b=b, x=x, x_next=x_next)
    return _weight_shift(before, after, data, labels, kind=kind)


@exact
def trajectory_shift(
    path: Float[ArrayLike, "steps d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> TrajectoryShift:
    """`weight_shift` of every step of a path, and of every point from the first.

    Args:
      path: x_0 .. x_T, [T + 1, d], T at least 1.
      a, b, kind: as for `weight_shift`.

    Raises:
      ValueError, TypeError: as `weight_shift`, and for a path of one point.
    """
    where = "trajectory_shift"
    inputs.arrays(where, a=(a, "n d"), path=(path, "steps d"))
    data, labels = inputs.single(where, kind, a=a, b=b)
    data, labels, points = inputs.floats(data, labels, path)
    two_points(where, points)
    move = jax.vmap(lambda x, y: _weight_shift(x, y, data, labels, kind=kind))
    first = jnp.broadcast_to(points[:1], points[1:].shape)
    return TrajectoryShift(move(points[:-1], points[1:]), move(first, points[1:]))


@exact
def context_shift(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    a_next: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
) -> LabelShift:
    """What the move of the context from A to A' is at fixed weights: L(x; A', b) = L(x; A, b~).

        normalized:  |b~ - b| <= ||A' - A|| |x| / 2
        rescaled:    |b~ - b| <= ||P|| max(f) (exp(||A' - A|| |x|) - 1)

    Args:
      x: weights, [d].
      a, a_next: data before and after, [n, d].
      b, kind: as for `weight_shift`.

    Raises:
      ValueError, TypeError: as `weight_shift`.
    """
    where = "context_shift"
    inputs.arrays(where, a=(a, "n d"), a_next=(a_next, "n d"))
    data, labels, weights = inputs.single(where, kind, a=a, b=b, x=x)
    data, labels, weights, after = inputs.floats(data, labels, weights, a_next)
    return _context_shift(weights, data, after, labels, kind=kind)


compiled = functools.partial(jax.jit, static_argnames="kind")


@compiled
def _context_shift(x: Array, a: Array, a_next: Array, b: Array, kind: str) -> LabelShift:
    change = a_next - a
    return _label_shift(a @ x, change @ x, b, upward(spectral(change) * length(x), a), kind)


def two_points(where: str, points: Array) -> None:
    if points.shape[0] < 2:
        raise ValueError(f"{where}: path must have at least 2 points, got {points.shape[0]}")


@compiled
def _weight_shift(x: Array, x_next: Array, a: Array, b: Array, kind: str) -> WeightShift:
    change, norm = x_next - x, spectral(a)
    moved = a @ change
    reach = upward(norm * length(change), a)
    labels = _label_shift(a @ x, moved, b, reach, kind)
    size = length(x)
    there = size > 0
    safe = jnp.where(there, size, 1)
    added = jnp.outer(moved / safe, x / safe)
    none_needed = jnp.all(moved == 0)
    exists = there | none_needed
    data = DataShift(
        a + jnp.where(exists, added, jnp.nan),
        jnp.where(exists, length(moved) / safe, jnp.nan),
        jnp.where(
            there,
            upward(reach / safe, a),
            jnp.where(none_needed, 0.0, jnp.inf),
        ),
    )
    return WeightShift(labels, data)


def _label_shift(z: Array, dz: Array, b: Array, reach: Array, kind: str) -> LabelShift:
    """b~ for logits that move from z to z + dz; `reach` bounds |dz|."""
    added = label_change(z, dz, b, kind)
    if kind == "normalized":
        bound = reach / 2
    else:
        bound = label_operator_norm(b) * jnp.max(jax.nn.softmax(z)) * jnp.expm1(reach)
    return LabelShift(b + added, length(added), upward(bound, b))


def label_change(z: Array, dz: Array, b: Array, kind: str) -> Array:
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


def spectral(matrix: Array) -> Array:
    return jnp.linalg.norm(decomposable(matrix), ord=2).astype(matrix.dtype)


def decomposable(matrix: Array) -> Array:
    """In float32 at least, as LAPACK knows no smaller numbers."""
    return matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))


def upward(bound: Array, *data: Array) -> Array:
    """A bound plus the rounding of sums over the axes of the data, so that it holds as computed."""
    terms = sum(sum(array.shape) for array in data)
    return bound * (1 + 4 * (terms + 1) * jnp.finfo(bound.dtype).eps)
