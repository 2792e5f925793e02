"""Linear self-attention (LSA), extended linear self-attention (ELSA), and mask-and-move."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import Rows
from elsa.base.jit import at_once
from elsa.base.precision import EXACT, products_at


def _associate(
    q_NxP: Real[Array, "n p"], k_NxP: Real[Array, "n p"], v_NxM: Real[Array, "n m"]
) -> Real[Array, "n m"]:
    """Q K^T V in the cheaper order: n^2 (p + m) products by the scores, 2 n p m by K^T V."""
    n, p = q_NxP.shape
    m = v_NxM.shape[1]
    if n * (p + m) < 2 * p * m:
        return (q_NxP @ k_NxP.T) @ v_NxM
    return q_NxP @ (k_NxP.T @ v_NxM)


@at_once
def _lsa(h: Array, wq: Array, wk: Array, wv: Array) -> Array:
    return _associate(h @ wq, h @ wk, h @ wv)


@at_once
def _elsa(h: Array, wq: Array, wk: Array, wv: Array, bq: Array, bk: Array, bv: Array) -> Array:
    return _associate(h @ wq + bq, h @ wk + bk, h @ wv + bv)


def lsa(
    h: Real[ArrayLike, "n m"] | Rows,
    wq: Real[ArrayLike, "m p"] | Rows,
    wk: Real[ArrayLike, "m p"] | Rows,
    wv: Real[ArrayLike, "m m"] | Rows,
    *,
    precision: str = EXACT,
) -> Real[Array, "n m"]:
    """One head of linear self-attention on one prompt, without the skip.

        LSA(H) = (H Wq) (H Wk)^T (H Wv)

    The n x n scores are formed only where that is cheaper: n (p + m) < 2 p m. Hagiwara
    (arXiv:2503.23814), who writes W3, W1, W2 for Wq, Wk, Wv.

    Args:
      h: prompt, [n, m], rows are tokens and columns are channels; the result has its shape.
      wq, wk: [m, p].
      wv: [m, m].
      precision: of the products: "highest", or "high" or "default" for speed on an accelerator.

    Raises:
      ValueError: naming the first argument whose shape does not fit; for an unknown precision.
    """
    checks.shapes("lsa", h=(h, "n m"), wq=(wq, "m p"), wk=(wk, "m p"), wv=(wv, "m m"))
    prompt = jnp.asarray(h)
    with products_at("lsa", precision):
        return _lsa(prompt, jnp.asarray(wq), jnp.asarray(wk), jnp.asarray(wv))


def elsa(
    h: Real[ArrayLike, "n m"] | Rows,
    wq: Real[ArrayLike, "m p"] | Rows,
    wk: Real[ArrayLike, "m p"] | Rows,
    wv: Real[ArrayLike, "m m"] | Rows,
    bq: Real[ArrayLike, "n p"] | Rows,
    bk: Real[ArrayLike, "n p"] | Rows,
    bv: Real[ArrayLike, "n m"] | Rows,
    *,
    precision: str = EXACT,
) -> Real[Array, "n m"]:
    """One head of extended linear self-attention on one prompt, without the skip.

        ELSA(H) = (H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv)

    The n x n scores are formed only where that is cheaper: n (p + m) < 2 p m. Hagiwara
    (arXiv:2503.23814), who writes W3, W1, W2 for Wq, Wk, Wv.

    Args:
      h: prompt, [n, m], rows are tokens and columns are channels; the result has its shape.
      wq, wk: [m, p].
      wv: [m, m].
      bq, bk: [n, p].
      bv: [n, m].
      precision: of the products: "highest", or "high" or "default" for speed on an accelerator.

    Raises:
      ValueError: naming the first argument whose shape does not fit; for an unknown precision.
    """
    checks.shapes(
        "elsa",
        h=(h, "n m"),
        wq=(wq, "m p"),
        wk=(wk, "m p"),
        wv=(wv, "m m"),
        bq=(bq, "n p"),
        bk=(bk, "n p"),
        bv=(bv, "n m"),
    )
    prompt = jnp.asarray(h)
    with products_at("elsa", precision):
        return _elsa(prompt, *map(jnp.asarray, (wq, wk, wv, bq, bk, bv)))


def mask_move(
    shape: tuple[int, int],
    rows: tuple[int, int],
    cols: tuple[int, int],
    shift: tuple[int, int],
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "m m"]]:
    """The pair (left, right) for which left @ a @ right cuts a block out of `a` and moves it.

        (left @ a @ right)[i+s : j+s, k+t : l+t] = a[i:j, k:l],   zero elsewhere

    with rows = (i, j), cols = (k, l), shift = (s, t). Hagiwara (arXiv:2503.23814), Property 1,
    there MskMov(A) = W A V; here ranges are half-open and count from 0.

    Args:
      shape: (n, m), the shape of `a`.
      rows, cols: half-open ranges of the block.
      shift: rows and columns by which the block moves; may be negative.

    Raises:
      ValueError: naming the range, where it is empty or leaves the matrix before or after the move.
      TypeError: where an end or a shift is not an integer.
    """
    for name, pair in {"shape": shape, "rows": rows, "cols": cols, "shift": shift}.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"mask_move: {name} must be two integers, got {pair!r}")
    checks.size("mask_move", **{f"shape[{axis}]": (size, 1) for axis, size in enumerate(shape)})
    left = _shift_matrix(shape[0], rows, shift[0], "rows")
    right = _shift_matrix(shape[1], cols, shift[1], "cols").T
    return left, right


def _shift_matrix(size: int, span: tuple[int, int], by: int, name: str) -> np.ndarray:
    """The size x size matrix that takes entry i of a vector to entry i + by for i in the span."""
    for end, number in (("start", span[0]), ("stop", span[1]), ("shift", by)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"mask_move: {name} must have an integer {end}, got {number!r}")
    start, stop = span
    if not 0 <= start < stop <= size:
        raise ValueError(
            f"mask_move: {name} must be a range (start, stop) with 0 <= start < stop <= {size}, "
            f"got {tuple(span)}"
        )
    if not 0 <= start + by <= stop + by <= size:
        raise ValueError(
            f"mask_move: {name} {tuple(span)} and shift {by} give ({start + by}, {stop + by}), "
            f"which leaves the range (0, {size})"
        )
    matrix = np.zeros((size, size))
    index = np.arange(start, stop)
    matrix[index + by, index] = 1.0
    return matrix
