"""How fast softmax, losses and gradients can change: Lipschitz constants of given data.

|.| is the Euclidean norm, for matrices |.|_F the Frobenius and ||.|| the spectral norm. The
constants of softmax and of the normalized loss hold everywhere; those of the rescaled loss hold on
the ball |x| <= R, and cannot do without it. `elsa.softmax_regression.worst_case_lipschitz` is the
paper's kind of bound, of R alone. Proofs: docs/softmax_regression.md; the paper: Gao, Song, Xie
(arXiv:2307.02419).
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from elsa.base import checks
from elsa.base.arrays import AnyShape

OF = ("gradient", "loss", "softmax")
_LARGEST = 1e75  # of an entry of b: its square, times n, is a number
# sup ||diag(J b) - J b f^T - f (J b)^T|| over f in the simplex: per |b|, and of J^2 alone.
BY_LABELS, WITHOUT_LABELS = math.sqrt(2.0) / (3.0 * math.sqrt(3.0)), 0.25


def curvature_bound(spread: float) -> float:
    """h(beta) = max |12 s^2 - 2 s +- 2 sqrt(2) beta s sqrt(1 - 4 s)| over s in [0, 1/4].

    The largest size of the normalized loss's Hessian in the logits, over all logits and all labels
    with |b - mean(b) 1| = beta; two equal and opposite coordinates attain it. With s = (1 - t^2)/4
    and the sign in t it is the largest size of the quartic (1 - t^2)(1 - 3 t^2 + 2 sqrt(2) beta
    t)/4 on [-1, 1], at a root of its derivative. h(0) = 1/4, h(1) = 0.359, and for large beta
    sqrt(2)/(3 sqrt(3)) beta.

    Args:
      spread: beta, at least 0.

    Raises:
      ValueError: for a spread that is negative or not finite.
    """
    checks.finite("curvature_bound", spread=spread)
    checks.at_least("curvature_bound", spread=(spread, 0.0))
    if spread > 1e10:  # h(beta) = k beta + O(1 / beta), and roots would be lost
        return BY_LABELS * float(spread)
    slope = 2.0 * math.sqrt(2.0) * spread
    quartic = np.polymul([-0.25, 0.0, 0.25], [-3.0, slope, 1.0])
    roots = np.roots(np.polyder(quartic))
    places = np.clip(roots[np.abs(roots.imag) <= 1e-9 * (1.0 + np.abs(roots))].real, -1.0, 1.0)
    return float(np.abs(np.polyval(quartic, places)).max())


def label_operator_norm(b: Any) -> Any:
    """||P||, P = I - b 1^T, for each row b: [..., n] to [...], of NumPy or of jax.

    P takes exp(z) to the rescaled residual. On the orthogonal complement of 1 and b it is the
    identity; its two other singular values have the product |1 - <b, 1>| and the sum of squares
    2 - 2 <b, 1> + n |b|^2. sqrt(n) |b| where <b, 1> = 1.
    """
    checks.finite("label_operator_norm", b=b)
    b = b if isinstance(b, jax.Array) else np.asarray(b, np.float64)
    if b.ndim == 0 or b.size == 0:
        raise ValueError(f"label_operator_norm: b must have labels, got shape {b.shape}")
    n, total = b.shape[-1], b.sum(axis=-1)
    determinant = abs(1.0 - total)
    if n == 1:
        return determinant
    if isinstance(b, np.ndarray) and np.abs(b).max() > _LARGEST:
        raise ValueError(f"label_operator_norm: entries of b must be at most {_LARGEST:g} in size")
    squares = 2.0 - 2.0 * total + n * (b**2).sum(axis=-1)
    added, taken = squares + 2.0 * determinant, abs(squares - 2.0 * determinant)
    return (added**0.5 + taken**0.5) / 2.0


class Values(NamedTuple):
    """A problem's data as matrices of float64: of a single one a query of one channel, 1."""

    left: Float[np.ndarray, "n1 d1"]
    right: Float[np.ndarray, "n2 d2"]
    labels: Float[np.ndarray, "n1 n2"]


def values(a1: AnyShape | None, a2: AnyShape, b: AnyShape) -> Values:
    """The data as such matrices."""
    left = np.ones((1, 1)) if a1 is None else np.asarray(a1, np.float64)
    return Values(left, np.asarray(a2, np.float64), np.atleast_2d(np.asarray(b, np.float64)))


def of_rows(
    values: Values, kind: str, radius: float, of: str, sharp: bool
) -> Float[np.ndarray, " n1"]:
    """The constant of each row's own softmax, loss or gradient."""
    norms, lengths = _row_norms(values)
    rows = _logit_constants(norms, lengths, values.labels, kind, radius, of, sharp)
    constants: np.ndarray = norms ** (2 if of == "gradient" else 1) * rows
    return constants


def of_all(values: Values, kind: str, radius: float, of: str, sharp: bool) -> float:
    """The constant of all rows together."""
    norms, lengths = _row_norms(values)
    rows = _logit_constants(norms, lengths, values.labels, kind, radius, of, sharp)
    norm = np.linalg.norm(values.left, 2) * np.linalg.norm(values.right, 2)
    if of == "loss":
        return float(norm * np.linalg.norm(rows))
    return float(norm ** (2 if of == "gradient" else 1) * rows.max())


def of_weighed(
    values: Values, kind: str, radius: float, weights: np.ndarray, l2: float, sharp: bool
) -> float:
    """The gradient's constant for rows with weights s_i >= 0 and a penalty.

    The Hessian is at most sum_i s_i m_i (a_i a_i^T) kron (A2^T A2) + l2 I, m_i the row's constant
    against its logits: ||diag(sqrt(s m)) A1||^2 ||A2||^2 + l2.
    """
    rows = _logit_constants(*_row_norms(values), values.labels, kind, radius, "gradient", sharp)
    with np.errstate(invalid="ignore"):
        sizes = np.where(weights > 0, weights * rows, 0.0)
    if not np.isfinite(sizes).all():
        return math.inf
    left = np.sqrt(sizes)[:, None] * values.left
    norm = np.linalg.norm(left, 2) * np.linalg.norm(values.right, 2)
    return float(norm**2 + l2)


def _row_norms(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Of the data a_i^T kron A2: spectral norms, [n1], and lengths of their rows, [n1, n2]."""
    lengths, others = (np.linalg.norm(a, axis=1) for a in (values.left, values.right))
    return lengths * np.linalg.norm(values.right, 2), np.outer(lengths, others)


def _logit_constants(
    norms: np.ndarray,
    lengths: np.ndarray,
    labels: np.ndarray,
    kind: str,
    radius: float,
    of: str,
    sharp: bool,
) -> np.ndarray:
    """The same against a move of the logits; norms [rows], lengths and labels [rows, n].

    norms: by which a row's logits move at most a unit of the weights.
    lengths: of the rows of A; |exp(A x)_i| <= exp(radius * length).
    """
    rows, n = labels.shape
    if of == "softmax":
        return np.full(rows, 0.5)
    if kind == "cross_entropy":  # its Hessian in the logits is <b, 1> J, and ||J|| <= 1/2
        totals = labels.sum(axis=1)
        if of == "gradient":
            return np.asarray(totals / 2.0)
        shares = labels / np.where(totals > 0, totals, 1.0)[:, None]
        return np.asarray(totals * _farthest_corner(shares, centred=False))
    if kind == "normalized":
        if of == "loss":
            return _farthest_corner(labels, centred=sharp) / 2.0
        sizes = np.linalg.norm(_centred(labels) if sharp else labels, axis=1)
        if sharp:
            return np.array([curvature_bound(float(size)) for size in sizes])
        return np.asarray(WITHOUT_LABELS + BY_LABELS * sizes)
    with np.errstate(over="ignore"):
        largest = np.exp(norms * radius)
        total = largest + math.sqrt(n) - 1.0
        if sharp:
            largest = np.exp(radius * lengths.max(axis=1))
            total = np.minimum(total, np.sqrt(np.exp(2.0 * radius * lengths).sum(axis=1)))
        change = label_operator_norm(labels) ** 2 * largest
        constants: np.ndarray = change * (total if of == "loss" else largest + total)
        return constants


def _centred(labels: np.ndarray) -> np.ndarray:
    centred: np.ndarray = labels - labels.mean(axis=1, keepdims=True)
    return centred


def _farthest_corner(labels: np.ndarray, *, centred: bool) -> np.ndarray:
    """max_i |e_i - b| for each row b: the largest residual, as a norm is largest at a corner.

    Centred, for e_i - 1/n and b - mean(b), whose product is (b - mean(b))_i again.
    """
    if centred:
        labels = _centred(labels)
    length = 1.0 - 1.0 / labels.shape[1] if centred else 1.0
    squares = length - 2.0 * labels.min(axis=1) + (labels**2).sum(axis=1)
    distances: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return distances
