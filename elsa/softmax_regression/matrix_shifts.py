"""The in-context statement in matrix form: rows of labels, and A1, in place of a step of X."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.softmax_regression import inputs
from elsa.softmax_regression.bounds import label_operator_norm
from elsa.softmax_regression.shifts import (
    DataShift,
    LabelShift,
    TrajectoryShift,
    WeightShift,
    compiled,
    decomposable,
    label_change,
    length,
    spectral,
    two_points,
    upward,
)


@exact
def matrix_weight_shift(
    x: Float[ArrayLike, "d1 d2"],
    x_next: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> WeightShift:
    """What to do to B, or to A1, instead of going from X to X_next; rows as in `weight_shift`.

        L(X'; A1, A2, B) = L(X; A1, A2, B~) = L(X; A1~, A2, B)

        normalized:  |B~ - B|_F <= ||A1|| ||A2|| |X' - X|_F / 2
        rescaled:    |b~_i - b_i| <= ||P_i|| max(f_i) (exp(|(X' - X)^T a_i| ||A2||) - 1)
        both:        A1~ = A1 + A1 (X' - X) X^+,  ||A1~ - A1|| <= ||A1|| ||X' - X|| ||X^+||

    b_i, f_i and a_i are rows of B, F and A1, and P_i = I - b_i 1^T; the rescaled bound is the
    root of the sum of squares. A1~ X = A1 X' wants X^+ X = I, full column rank; NaN, with an
    infinite bound, where X has less, up to rounding.

    Args:
      x, x_next: weights before and after, [d1, d2].
      a1, a2, b: data, [n1, d1] and [n2, d2], and labels, [n1, n2].
      kind: "normalized" or "rescaled".

    Raises:
      ValueError, TypeError: as `matrix_loss`, the overflow apart.
    """
    left, right, labels, before, after = inputs.matrix(
        "matrix_weight_shift", kind, a1=a1, a2=a2, b=b, x=x, x_next=x_next
    )
    return _weight_shift(before, after, left, right, labels, kind=kind)


@exact
def matrix_trajectory_shift(
    path: Float[ArrayLike, "steps d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> TrajectoryShift:
    """`matrix_weight_shift` of every step of a path X_0 .. X_T, and of every point from the first.

    Raises:
      ValueError, TypeError: as `matrix_weight_shift`, and for a path of one point.
    """
    where = "matrix_trajectory_shift"
    inputs.arrays(where, a1=(a1, "n1 d1"), a2=(a2, "n2 d2"), path=(path, "steps d1 d2"))
    left, right, labels = inputs.matrix(where, kind, a1=a1, a2=a2, b=b)
    left, right, labels, points = inputs.floats(left, right, labels, path)
    two_points(where, points)
    move = jax.vmap(lambda x, y: _weight_shift(x, y, left, right, labels, kind=kind))
    first = jnp.broadcast_to(points[:1], points[1:].shape)
    return TrajectoryShift(move(points[:-1], points[1:]), move(first, points[1:]))


@exact
def matrix_context_shift(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    a1_next: Float[ArrayLike, "n1 d1"],
    a2_next: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
) -> LabelShift:
    """What the move of the context to A1', A2' is at fixed X: L(X; A1', A2', B) = L(X; A1, A2, B~).

    Row i of the logits moves by at most r_i = |X^T a_i'| ||A2' - A2|| + |X^T (a_i' - a_i)| ||A2||:

        normalized:  |B~ - B|_F <= sqrt(sum_i r_i^2) / 2
        rescaled:    |b~_i - b_i| <= ||P_i|| max(f_i) (exp(r_i) - 1)

    Raises:
      ValueError, TypeError: as `matrix_weight_shift`.
    """
    where = "matrix_context_shift"
    inputs.arrays(where, a1=(a1, "n1 d1"), a1_next=(a1_next, "n1 d1"))
    inputs.arrays(where, a2=(a2, "n2 d2"), a2_next=(a2_next, "n2 d2"))
    left, right, labels, weights = inputs.matrix(where, kind, a1=a1, a2=a2, b=b, x=x)
    left, right, labels, weights, after1, after2 = inputs.floats(
        left, right, labels, weights, a1_next, a2_next
    )
    return _context_shift(weights, left, right, after1, after2, labels, kind=kind)


@compiled
def _context_shift(
    x: Array, a1: Array, a2: Array, a1_next: Array, a2_next: Array, b: Array, kind: str
) -> LabelShift:
    change1, change2 = (a1_next - a1) @ x, a2_next - a2
    moved = a1_next @ x @ change2.T + change1 @ a2.T
    rows = _row_lengths(a1_next @ x) * spectral(change2) + _row_lengths(change1) * spectral(a2)
    rows = upward(rows, x, a2)
    return _label_shift(a1 @ x @ a2.T, moved, b, length(rows), rows, kind)


@compiled
def _weight_shift(
    x: Array, x_next: Array, a1: Array, a2: Array, b: Array, kind: str
) -> WeightShift:
    change, right = x_next - x, spectral(a2)
    moved = a1 @ change
    rows = upward(_row_lengths(moved) * right, x, a2)
    reach = upward(spectral(a1) * right * length(change), a1, a2)
    labels = _label_shift(a1 @ x @ a2.T, moved @ a2.T, b, reach, rows, kind)
    values = jnp.linalg.svd(decomposable(x), compute_uv=False).astype(x.dtype)
    rounding = max(x.shape) * jnp.finfo(x.dtype).eps * values[0]
    invertible = (x.shape[0] >= x.shape[1]) & (values[-1] > rounding)
    smallest = jnp.where(invertible, values[-1], 1)
    added = moved @ jnp.linalg.pinv(decomposable(x)).astype(x.dtype)
    data = DataShift(
        a1 + jnp.where(invertible, added, jnp.nan),
        jnp.where(invertible, spectral(added), jnp.nan),
        jnp.where(invertible, upward(spectral(a1) * spectral(change) / smallest, a1, x), jnp.inf),
    )
    return WeightShift(labels, data)


def _label_shift(z: Array, dz: Array, b: Array, reach: Array, rows: Array, kind: str) -> LabelShift:
    """B~ for logits Z that move by dZ; `reach` bounds |dZ|_F and `rows` the lengths of its rows."""
    added = jax.vmap(functools.partial(label_change, kind=kind))(z, dz, b)
    if kind == "normalized":
        bound = reach / 2
    else:
        largest = jnp.max(jax.nn.softmax(z, axis=1), axis=1)
        bound = length(label_operator_norm(b) * largest * jnp.expm1(rows))
    return LabelShift(b + added, length(added), upward(bound, b))


def _row_lengths(matrix: Array) -> Array:
    return jnp.sqrt(jnp.sum(matrix**2, axis=1))
