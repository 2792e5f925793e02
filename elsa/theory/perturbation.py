"""How the output of a ridge stack changes, to first order, with small changes of its prompt.

Throughout, A = X^T X + lam I, w* = A^{-1} X^T y and r = y - X w*. A stack that converges returns

    natural prompt    w*(X, y, lam), whatever the start;
    state prompt      the same w* as packed: context rows [X y 0 0 0], state rows [0 0 L S w_0] with
                      L = lam I, S = sqrt(eta) I. Its sums run over all rows, so that what is
                      written where it holds zeros counts too;
    designed prompt   the fixed point of c <- c + eta Z Z^T (u - c) for Z = [X; R], u = [y; l],
                      c_0 = [f; g], that is c = P u + (I - P) c_0 with P = Z Z^+, read as
                      c_bottom / rho, rho = sqrt(lam). As packed R = rho I, l = 0, c_0 = Z w_0.

The first-order answers below are the differentials of these maps.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks, functions
from elsa.base.arrays import AnyShape, NumberBlock, Rows
from elsa.base.precision import exact
from elsa.theory import matrices


@exact
def natural_shift(
    X: Real[ArrayLike, "n d"] | Rows,
    y: Real[ArrayLike, "n 1"] | Rows,
    lam: NumberBlock,
    *,
    d_x: Real[ArrayLike, "n d"] | Rows | None = None,
    d_y: Real[ArrayLike, "n 1"] | Rows | None = None,
    d_lam: NumberBlock | None = None,
) -> Float[Array, "d 1"]:
    """Differential of the ridge solution in its data, for one task.

        d w* = A^{-1} (dX^T r - X^T dX w* + X^T dy - dlam w*)

    from d(A w*) = d(X^T y).

    Args:
      X, y, lam: the problem.
      d_x, d_y, d_lam: its changes; zero where None.

    Raises:
      ValueError: for shapes that do not fit.
    """
    changes = {"d_x": (d_x, "n d"), "d_y": (d_y, "n 1")}
    _checked("natural_shift", lam, changes, X=(X, "n d"), y=(y, "n 1"))
    if d_lam is not None:
        checks.entry("natural_shift", d_lam=d_lam)
    data, labels = jnp.asarray(X), jnp.asarray(y)
    factor, solution = _solve(data, labels, lam)
    change = jnp.zeros_like(solution)
    if d_x is not None:
        change = change + jnp.asarray(d_x).T @ (labels - data @ solution)
        change = change - data.T @ (jnp.asarray(d_x) @ solution)
    if d_y is not None:
        change = change + data.T @ jnp.asarray(d_y)
    if d_lam is not None:
        change = change - jnp.reshape(d_lam, ()) * solution
    return jsl.cho_solve(factor, change)


@exact
def designed_shift(
    X: Real[ArrayLike, "n d"] | Rows,
    y: Real[ArrayLike, "n 1"] | Rows,
    lam: NumberBlock,
    start: Real[ArrayLike, "d 1"] | Rows,
    *,
    d_x: Real[ArrayLike, "n d"] | Rows | None = None,
    d_ridge: Real[ArrayLike, "d d"] | Rows | None = None,
    d_y: Real[ArrayLike, "n 1"] | Rows | None = None,
    d_label: Real[ArrayLike, "d 1"] | Rows | None = None,
    d_fit: Real[ArrayLike, "n 1"] | Rows | None = None,
    d_w: Real[ArrayLike, "d 1"] | Rows | None = None,
) -> Float[Array, "d 1"]:
    """Differential of what the designed prompt's stack returns, for one task.

    With v = w* - w_0 and s = u - Z w* = [r; -rho w*], from d(Z Z^+) and Z^+ = A^{-1} Z^T,

        dc = (I - P)(dc_0 + dZ v) + P du + Z A^{-1} dZ^T s
        d w = (dc)_bottom / rho = g / rho + A^{-1} (Z^T (du - dc_0 - dZ v) + dZ^T s)

    where g is the lower part of dc_0 + dZ v, and the rows of dZ, du, dc_0 are those of the context,
    then those of the regulariser. The part of dc_0 outside of the range of Z is never corrected:
    the start is not forgotten where f and g are changed apart from X and R.

    Args:
      X, y, lam: the problem.
      start: w_0, from which the fit was packed.
      d_x, d_ridge: changes of X and of R.
      d_y, d_label: changes of y and of l, the labels of the regulariser's rows.
      d_fit, d_w: changes of f and of g, the fit column's two parts. All zero where None.

    Raises:
      ValueError: for shapes that do not fit.
    """
    changes = {
        "d_x": (d_x, "n d"),
        "d_ridge": (d_ridge, "d d"),
        "d_y": (d_y, "n 1"),
        "d_label": (d_label, "d 1"),
        "d_fit": (d_fit, "n 1"),
        "d_w": (d_w, "d 1"),
    }
    problem = {"X": (X, "n d"), "y": (y, "n 1"), "start": (start, "d 1")}
    sizes = _checked("designed_shift", lam, changes, **problem)
    data, labels, begin = jnp.asarray(X), jnp.asarray(y), jnp.asarray(start)
    n, d = sizes["n"], sizes["d"]
    factor, solution = _solve(data, labels, lam)
    root = jnp.sqrt(jnp.reshape(lam, ()))

    def rows(top: AnyShape | None, bottom: AnyShape | None, width: int) -> Array:
        parts = [
            jnp.zeros((height, width), data.dtype) if part is None else jnp.asarray(part)
            for part, height in ((top, n), (bottom, d))
        ]
        return jnp.concatenate(parts)

    stacked = jnp.concatenate([data, root * jnp.eye(d, dtype=data.dtype)])
    d_stacked, d_target = rows(d_x, d_ridge, d), rows(d_y, d_label, 1)
    left = jnp.concatenate([labels - data @ solution, -root * solution])
    d_column = rows(d_fit, d_w, 1) + d_stacked @ (solution - begin)
    change = stacked.T @ (d_target - d_column) + d_stacked.T @ left
    return d_column[n:] / root + jsl.cho_solve(factor, change)


@exact
def state_shift(
    X: Real[ArrayLike, "n d"] | Rows,
    y: Real[ArrayLike, "n 1"] | Rows,
    lam: NumberBlock,
    start: Real[ArrayLike, "d 1"] | Rows,
    step_size: float,
    *,
    d_ridge: Real[ArrayLike, "d d"] | Rows | None = None,
    d_step: Real[ArrayLike, "d d"] | Rows | None = None,
    d_data: Real[ArrayLike, "d d"] | Rows | None = None,
    d_label: Real[ArrayLike, "d 1"] | Rows | None = None,
    context_ridge: Real[ArrayLike, "n d"] | Rows | None = None,
    context_step: Real[ArrayLike, "n d"] | Rows | None = None,
    context_w: Real[ArrayLike, "n 1"] | Rows | None = None,
) -> Float[Array, "d 1"]:
    """Differential of what the state prompt's stack returns in all blocks but X and y, one task.

    A layer adds eta g to w and sqrt(eta) g times a row's step channels to its channel w, forms
    u = |S e|^-2 sqrt(eta) (row of X) (S^T w) in every row, and g sums over all rows. In first order

        0 = g = X^T (y - u) - lam w - dL^T w + D^T w - lam (l - D w) - L_c^T r + X^T v
        u = X (w + dS^T w / sqrt(eta) - 2 (e^T dS e) w / sqrt(eta))
        v = v_0 + S_c (w* - w_0) / sqrt(eta)      as the sum of all eta g is w* - w_0

    for state rows [D l L+dL S+dS w], context rows [X y L_c S_c v], and e the first unit vector, so
    that

        d w = A^{-1} (-dL^T w* - X^T X (dS^T - 2 (e^T dS e) I) w* / sqrt(eta)
                      + D^T w* - lam (l - D w*) - L_c^T r + X^T v).

    In X and y the differential is that of `natural_shift`; changes of w_0 and u are forgotten.

    Args:
      X, y, lam: the problem.
      start, step_size: w_0 and eta.
      d_ridge, d_step: dL and dS, changes of lam I and sqrt(eta) I.
      d_data, d_label: D and l, in the rows of w and the channels of X and y.
      context_ridge, context_step, context_w: L_c, S_c and v_0, in the rows of X and the channels of
        lam I, sqrt(eta) I and w. All zero where None.

    Raises:
      ValueError: for shapes that do not fit.
    """
    changes = {
        "d_ridge": (d_ridge, "d d"),
        "d_step": (d_step, "d d"),
        "d_data": (d_data, "d d"),
        "d_label": (d_label, "d 1"),
        "context_ridge": (context_ridge, "n d"),
        "context_step": (context_step, "n d"),
        "context_w": (context_w, "n 1"),
    }
    problem = {"X": (X, "n d"), "y": (y, "n 1"), "start": (start, "d 1")}
    sizes = _checked("state_shift", lam, changes, **problem)
    checks.positive("state_shift", step_size=step_size)
    data, labels = jnp.asarray(X), jnp.asarray(y)
    ridge, step, lower, label, right, across, below = (
        jnp.zeros([sizes[axis] for axis in axes.split()], data.dtype)
        if array is None
        else jnp.asarray(array)
        for array, axes in changes.values()
    )
    factor, solution = _solve(data, labels, lam)
    root, regulariser = jnp.sqrt(step_size), jnp.reshape(lam, ())
    fit = data @ (step.T @ solution - 2.0 * step[0, 0] * solution) / root
    column = below + across @ (solution - jnp.asarray(start)) / root
    change = data.T @ (column - fit) - ridge.T @ solution + lower.T @ solution
    change = change - regulariser * (label - lower @ solution)
    return jsl.cho_solve(factor, change - right.T @ (labels - data @ solution))


@exact
def scratch_shift(
    X: Real[ArrayLike, "n d"] | Rows,
    lam: NumberBlock,
    step_size: float,
    depth: int,
    d_residual: Real[ArrayLike, "n 1"] | Rows,
) -> Float[Array, "d 1"]:
    """Error left in w after T steps when the one-layer form starts from a wrong residual.

    The carried residual e = y - X w + q obeys q <- (1 - eta lam) q, and w is driven by eta X^T q:
    with X^T X = V diag(mu) V^T and a_i = mu_i + lam, exactly,

        d w_T = sum_i v_i (v_i^T X^T q_0) ((1 - eta lam)^T - (1 - eta a_i)^T) / mu_i

    (T eta (1 - eta lam)^{T-1} v_i^T X^T q_0 at mu_i = 0, which is 0). It is forgotten at the rate
    1 - eta lam, and never where lam = 0.

    Args:
      X, lam: the problem's.
      step_size, depth: eta and T.
      d_residual: q_0.

    Raises:
      ValueError: for shapes that do not fit, or an error that overflows.
    """
    _checked("scratch_shift", lam, {}, X=(X, "n d"), d_residual=(d_residual, "n 1"))
    checks.positive("scratch_shift", step_size=step_size)
    checks.size("scratch_shift", depth=(depth, 0))
    left, roots, right = jnp.linalg.svd(jnp.asarray(X), full_matrices=False)
    keep = 1.0 - step_size * jnp.reshape(lam, ())
    forget = keep**depth - (keep - step_size * roots**2) ** depth
    inverse = jnp.where(roots > 0, 1.0 / jnp.where(roots > 0, roots, 1.0), 0.0)
    moved = right.T @ ((forget * inverse)[:, None] * (left.T @ jnp.asarray(d_residual)))
    if checks.is_concrete(moved) and not jnp.isfinite(moved).all():
        raise ValueError(
            f"scratch_shift: step_size and lam must keep the error finite in depth={depth} steps, "
            f"got step_size={step_size} and lam={lam}"
        )
    return moved


@exact
def noise_gain(shift: Callable[[Array], Array], shape: tuple[int, int]) -> Float[Array, ""]:
    """sqrt(E |shift(E)|^2) for a linear shift and noise E of independent entries of variance 1.

    It is |J|_F, J the matrix of the map: E |J e|^2 = tr(J J^T).

    Args:
      shift: a linear map from changes of a block to changes of the answer.
      shape: of the block.
    """
    functions.function_of_one("noise_gain", "a linear map of a block", shift=shift)
    checks.instance("noise_gain", tuple, "two integers", shape=shape)
    if len(shape) != 2:
        raise ValueError(f"noise_gain: shape must be two integers, got {shape}")
    checks.size("noise_gain", **{f"shape[{axis}]": (size, 1) for axis, size in enumerate(shape)})
    basis = jnp.eye(shape[0] * shape[1]).reshape(-1, *shape)
    checks.real("noise_gain", **{"the result of shift": shift(basis[0])})
    moved = jax.vmap(shift)(basis)
    gain: Array = jnp.linalg.norm(moved)
    return gain


def _checked(
    where: str,
    lam: NumberBlock,
    changes: Mapping[str, tuple[AnyShape | None, str]],
    **problem: tuple[AnyShape, str],
) -> dict[str, int]:
    """The sizes of a problem and of the changes that are given, columns of width 1."""
    taken = {name: (array, axes) for name, (array, axes) in changes.items() if array is not None}
    sizes = matrices.data(where, **problem, **taken)
    checks.entry(where, lam=lam)
    if checks.is_concrete(lam):
        checks.at_least(where, lam=(np.asarray(lam).item(), 0.0))
    if sizes["1"] != 1:
        name = next(name for name, (_, axes) in problem.items() if axes.endswith("1"))
        raise ValueError(
            f"{where}: {name} must be a column, got shape {np.shape(problem[name][0])}"
        )
    return sizes


def _solve(data: Array, labels: Array, lam: NumberBlock) -> tuple[tuple[Array, bool], Array]:
    """A's Cholesky factor and w*."""
    gram = data.T @ data + jnp.reshape(lam, ()) * jnp.eye(data.shape[1], dtype=data.dtype)
    factor = jsl.cho_factor(gram)
    return factor, jsl.cho_solve(factor, data.T @ labels)
