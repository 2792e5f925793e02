"""How fast softmax, losses and gradients can change: Lipschitz constants of given data.

|.| is the Euclidean norm, for matrices |.|_F the Frobenius and ||.|| the spectral norm. The
constants of softmax and of the normalized loss hold everywhere; those of the rescaled loss hold on
the ball |x| <= R, and cannot do without it. `elsa.softmax_regression.worst_case_lipschitz` is the
paper's kind of bound, of R alone. Proofs: docs/softmax_regression.md; the paper: Gao, Song, Xie
(arXiv:2307.02419).
"""

import math
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from elsa.base import checks
from elsa.softmax_regression import inputs

OF = ("gradient", "loss", "softmax")
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
    n, total = b.shape[-1], b.sum(axis=-1)
    determinant = abs(1.0 - total)
    if n == 1:
        return determinant
    squares = 2.0 - 2.0 * total + n * (b**2).sum(axis=-1)
    added, taken = squares + 2.0 * determinant, abs(squares - 2.0 * determinant)
    return (added**0.5 + taken**0.5) / 2.0


def lipschitz(
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
    radius: float | None = None,
    *,
    of: str = "gradient",
    sharp: bool = False,
) -> float:
    """K with |q(x) - q(x')| <= K |x - x'|, for q the softmax map, the loss or its gradient.

        softmax                  ||A|| / 2
        normalized, loss         ||A|| max_i |e_i - b| / 2,  e_i the unit vectors
        normalized, gradient     ||A||^2 (1/4 + k |b|),  k = sqrt(2) / (3 sqrt(3))
        rescaled, loss           ||A|| ||P||^2 e (e + sqrt(n) - 1)
        rescaled, gradient       ||A||^2 ||P||^2 e (2 e + sqrt(n) - 1)

    with e = exp(||A|| R), P = I - b 1^T. Sharp: for the normalized loss labels and unit vectors
    lose their means and 1/4 + k |b| becomes h(|b - mean(b) 1|), `curvature_bound`; for the rescaled
    one e, a bound of max exp(A x), becomes exp(R max_i |a_i|), and e + sqrt(n) - 1, a bound of
    |exp(A x)|, at most sqrt(sum_i exp(2 R |a_i|)). Softmax does not see a constant added to its
    logits, so that every constant but the rescaled ones holds for A - mean of its rows, too.

    Args:
      a, b: data, [n, d], and labels, [n].
      kind: "normalized" or "rescaled"; of no matter to the softmax map.
      radius: R of the ball that x and x' lie in; needed for the rescaled loss alone, as the other
        constants hold everywhere.
      of: "gradient", "loss" or "softmax".
      sharp: the smaller constant, which depends on more of the data.

    Returns:
      The constant; infinite where exp(||A|| R) overflows.

    Raises:
      ValueError: for arrays as in `loss`, an unknown kind or `of`, a missing or negative radius.
      TypeError: for tracers, as the constant is a number.
    """
    inputs.concrete("lipschitz", a=a, b=b)
    inputs.single("lipschitz", kind, a=a, b=b)
    data, labels = np.asarray(a, np.float64), np.asarray(b, np.float64)
    reach = _reach("lipschitz", kind, radius, of, sharp)
    norm, lengths = np.array([np.linalg.norm(data, 2)]), np.linalg.norm(data, axis=1)
    constants = _constants(norm, lengths[None, :], labels[None, :], kind, reach, of, sharp)
    return float(constants[0])


def matrix_row_lipschitz(
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
    radius: float | None = None,
    *,
    of: str = "gradient",
    sharp: bool = False,
) -> Float[np.ndarray, " n1"]:
    """The constant of each row's own softmax, loss or gradient, against |X - X'|_F.

    Row i is the single problem with the data a_i^T kron A2, of spectral norm |a_i| ||A2||, a_i row
    i of A1. Arguments and errors as for `matrix_lipschitz`.
    """
    left, right, labels = _matrix_data("matrix_row_lipschitz", kind, a1, a2, b)
    reach = _reach("matrix_row_lipschitz", kind, radius, of, sharp)
    norms, lengths = _row_norms(left, right)
    return _constants(norms, lengths, labels, kind, reach, of, sharp)


def matrix_lipschitz(
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
    radius: float | None = None,
    *,
    of: str = "gradient",
    sharp: bool = False,
) -> float:
    """K with |q(X) - q(X')|_F <= K |X - X'|_F, for q the rows' softmax, the loss or its gradient.

        softmax                ||A1|| ||A2|| / 2
        normalized, loss       ||A1|| ||A2|| sqrt(sum_i max_j |e_j - b_i|^2) / 2
        normalized, gradient   (||A1|| ||A2||)^2 (1/4 + k max_i |b_i|),  k = sqrt(2)/(3 sqrt(3))
        rescaled, loss         ||A1|| ||A2|| sqrt(sum_i (||P_i||^2 e_i (e_i + sqrt(n2) - 1))^2)
        rescaled, gradient     (||A1|| ||A2||)^2 max_i ||P_i||^2 e_i (2 e_i + sqrt(n2) - 1)

    with b_i row i of B, a_i of A1, e_i = exp(|a_i| ||A2|| R), P_i = I - b_i 1^T. Sharp as for
    `lipschitz`, row by row.

    Args:
      a1, a2, b: data, [n1, d1] and [n2, d2], and labels, [n1, n2].
      kind, of, sharp: as for `lipschitz`.
      radius: R of the ball |X|_F <= R; needed for the rescaled loss alone.

    Raises:
      ValueError, TypeError: as `lipschitz`.
    """
    left, right, labels = _matrix_data("matrix_lipschitz", kind, a1, a2, b)
    reach = _reach("matrix_lipschitz", kind, radius, of, sharp)
    norms, lengths = _row_norms(left, right)
    rows = _logit_constants(norms, lengths, labels, kind, reach, of, sharp)
    norm = np.linalg.norm(left, 2) * np.linalg.norm(right, 2)
    if of == "loss":
        return float(norm * np.linalg.norm(rows))
    return float(norm ** (2 if of == "gradient" else 1) * rows.max())


def _matrix_data(
    where: str, kind: str, a1: ArrayLike, a2: ArrayLike, b: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs.concrete(where, a1=a1, a2=a2, b=b)
    inputs.matrix(where, kind, a1=a1, a2=a2, b=b)
    return np.asarray(a1, np.float64), np.asarray(a2, np.float64), np.asarray(b, np.float64)


def _reach(where: str, kind: str, radius: float | None, of: str, sharp: bool) -> float:
    checks.one_of(where, "of", of, OF)
    checks.boolean(where, sharp=sharp)
    return inputs.radius(where, radius, needed=kind == "rescaled" and of != "softmax")


def _row_norms(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the data a_i^T kron A2: spectral norms, [n1], and lengths of their rows, [n1, n2]."""
    lengths = np.linalg.norm(left, axis=1)
    return lengths * np.linalg.norm(right, 2), np.outer(lengths, np.linalg.norm(right, axis=1))


def _constants(
    norms: np.ndarray,
    lengths: np.ndarray,
    labels: np.ndarray,
    kind: str,
    radius: float,
    of: str,
    sharp: bool,
) -> np.ndarray:
    """Constants of single problems, one each: logits move by at most `norms` a unit of x."""
    rows = _logit_constants(norms, lengths, labels, kind, radius, of, sharp)
    return norms ** (2 if of == "gradient" else 1) * rows


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

    lengths: of the rows of A; |exp(A x)_i| <= exp(radius * length).
    """
    rows, n = labels.shape
    if of == "softmax":
        return np.full(rows, 0.5)
    if kind == "normalized":
        if of == "loss":
            return _farthest_corner(labels, centred=sharp) / 2.0
        sizes = np.linalg.norm(_centred(labels) if sharp else labels, axis=1)
        if sharp:
            return np.array([curvature_bound(float(size)) for size in sizes])
        return WITHOUT_LABELS + BY_LABELS * sizes
    with np.errstate(over="ignore"):
        largest = np.exp(norms * radius)
        total = largest + math.sqrt(n) - 1.0
        if sharp:
            largest = np.exp(radius * lengths.max(axis=1))
            total = np.minimum(total, np.sqrt(np.exp(2.0 * radius * lengths).sum(axis=1)))
        change = label_operator_norm(labels) ** 2 * largest
        return change * (total if of == "loss" else largest + total)


def _centred(labels: np.ndarray) -> np.ndarray:
    return labels - labels.mean(axis=1, keepdims=True)


def _farthest_corner(labels: np.ndarray, *, centred: bool) -> np.ndarray:
    """max_i |e_i - b| for each row b: the largest residual, as a norm is largest at a corner.

    Centred, for e_i - 1/n and b - mean(b), whose product is (b - mean(b))_i again.
    """
    if centred:
        labels = _centred(labels)
    length = 1.0 - 1.0 / labels.shape[1] if centred else 1.0
    squares = length - 2.0 * labels.min(axis=1) + (labels**2).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0.0))
