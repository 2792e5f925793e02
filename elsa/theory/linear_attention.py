"""One linear-attention layer alone, on tasks with a prior mean: no feed-forward layer, no start.

b ~ N(b*, Psi), x_i and x ~ N(0, H), labels with noise of variance s2 on context and query. With
G = [X, y]^T [X, y], [d + 1, d + 1], the query's label masked, the layer's prediction is

    f = u^T G V x / n,    u [d + 1] the output weights, V [d + 1, d] the product of key and query.

Given b, G is Wishart with n degrees of freedom and scale
K = [[H, H b], [b^T H, b^T H b + s2]], so that with D = V H V^T

    L(u, V) = s2 + E_b[b^T H b - 2 b^T H V^T K u + (n+1)/n u^T K D K u + tr(D K) u^T K u / n],

a polynomial of degree 4 in b, whose mean a rule of degree 5 gives exactly. At b* = 0 the best is
the best single step; with b* its gap to `gd_beta_optimum` grows without bound.
Zhang, Wu, Bartlett (arXiv:2402.14951). Derivations: docs/theory.md.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base.arrays import Numbers, Rows
from elsa.theory import matrices
from elsa.theory.matrices import Vector
from elsa.theory.setting import Setting, require

_ANGLES = 8  # starts in the plane of (b*, 0) and the label
_RANDOM = 6  # starts anywhere


class LinearAttentionOptimum(NamedTuple):
    """The best point found, and how stationary it is.

    output, key_query: u, of norm 1, and V.
    risk: at that point.
    stationarity: (|dL/du| |u| + |dL/dV| |V|) / L there, the relative change of the risk to first
      order for a relative change of the weights: 0 up to rounding.
    local_risks: where the descent from each start ended, smallest first.
    """

    output: Float[np.ndarray, " m"]
    key_query: Float[np.ndarray, "m d"]
    risk: float
    stationarity: float
    local_risks: Float[np.ndarray, " starts"]


class _Nodes(NamedTuple):
    """Quadrature nodes b_q with their weights, and what is needed at each of them."""

    weights: np.ndarray  # [q]
    points: np.ndarray  # [q, d]
    scales: np.ndarray  # K at each node, [q, d + 1, d + 1]
    setting: Setting

    @property
    def label_var(self) -> float:
        """s2 + E b^T H b."""
        seen = self.points @ self.setting.cov_x
        return self.setting.noise_var + float(self.weights @ np.sum(seen * self.points, axis=1))


def linear_attention_risk(
    output: Real[ArrayLike, " m"] | Real[ArrayLike, "m 1"] | Numbers | Rows,
    key_query: Real[ArrayLike, "m d"] | Rows,
    setting: Setting,
    *,
    bias: Vector | None = None,
) -> float:
    """Expected squared error of u^T G V x / n + b0 . x, exact.

    The bias b0 is what a feed-forward layer adds, in which case the layer is a whole linear
    transformer block and u the last row of the product of its feed-forward and value matrices; it
    adds -2 b0^T H (b* - V^T E[K] u) + b0^T H b0.

    Args:
      output, key_query: u and V, the label's row last.
      setting: n, s2, b* = `task_mean`, Psi = `cov_task`, H = `cov_x`; Psi may be singular.
      bias: b0; zero by default.

    Raises:
      ValueError: for shapes that do not fit, NaN or infinity.
      TypeError: for a setting that is not a `Setting`.
    """
    where = "linear_attention_risk"
    require(where, setting)
    nodes = _at_nodes(setting)
    H, mean = setting.cov_x, setting.task_mean
    u = matrices.vector(where, "output", output, mean.size + 1)
    V = matrices.real(where, "key_query", key_query)
    if V.shape != (u.size, mean.size):
        raise ValueError(
            f"{where}: key_query must have shape (d+1={u.size}, d={mean.size}), got {V.shape}"
        )
    bent, straight = _in_key_query(nodes, u)
    quadratic = np.trace(V @ H @ V.T @ bent) - 2.0 * np.trace(H @ straight.T @ V)
    risk = nodes.label_var + quadratic
    if bias is not None:
        b0 = matrices.vector(where, "bias", bias, mean.size)
        mean_scale = np.tensordot(nodes.weights, nodes.scales, 1)
        risk += b0 @ H @ (b0 - 2.0 * (mean - V.T @ mean_scale @ u))
    return float(risk)


def linear_attention_optimum(setting: Setting) -> LinearAttentionOptimum:
    """The best u and V without a bias, by descent over the direction of u from several starts.

    For a fixed u the best V solves the linear system

        [(n+1)/n E(K u u^T K) + E((u^T K u) K) / n] V = E[K u b^T],

    and the scale of u is free: what is left is a smooth function of d numbers, whose gradient is
    that of L in u at the best V. It has several local minima where b* is large. The starts are
    directions in the plane of (b*, 0) and the label, which holds the global minimum for
    H = Psi = I (seen numerically, not proved), and random ones, the same in every call.

    Args:
      setting: as in `linear_attention_risk`.

    Raises:
      TypeError: for a setting that is not a `Setting`.
    """
    import scipy.optimize

    require("linear_attention_optimum", setting)
    nodes = _at_nodes(setting)
    _, coordinates = matrices.roots(np.tensordot(nodes.weights, nodes.scales, 1))

    def reduced(z: np.ndarray) -> tuple[float, np.ndarray]:
        """The risk at the best V, and its gradient, in coordinates where E[K] = I."""
        norm = np.linalg.norm(z)
        u = coordinates @ z / norm
        V, risk = _best_key_query(nodes, u)
        gradient = coordinates @ _gradient_in_output(nodes, u, V)
        return risk, gradient / norm

    minima = [
        scipy.optimize.minimize(
            reduced, start, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 1_000}
        )
        for start in _starts(nodes, coordinates)
    ]
    best = min(minima, key=lambda result: result.fun)
    u = coordinates @ best.x
    u = u / np.linalg.norm(u)
    V, risk = _best_key_query(nodes, u)
    bent, straight = _in_key_query(nodes, u)
    in_key_query = 2.0 * (bent @ V - straight) @ nodes.setting.cov_x
    slope = np.linalg.norm(_gradient_in_output(nodes, u, V))  # |u| = 1
    slope += np.linalg.norm(in_key_query) * np.linalg.norm(V)
    stationarity = float(slope / risk) if risk > 0.0 else float(slope)
    local_risks = np.sort([result.fun for result in minima])
    return LinearAttentionOptimum(u, V, risk, stationarity, local_risks)


def _best_key_query(nodes: _Nodes, u: np.ndarray) -> tuple[np.ndarray, float]:
    """V for a fixed u, and the risk with it."""
    bent, straight = _in_key_query(nodes, u)
    V = np.linalg.lstsq(bent, straight, rcond=None)[0]
    gain = np.trace(nodes.setting.cov_x @ straight.T @ V)
    return V, float(nodes.label_var - gain)


def _in_key_query(nodes: _Nodes, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A and B of the risk s2 + E b^T H b + tr(V H V^T A) - 2 tr(H B^T V)."""
    n, seen = nodes.setting.context_length, nodes.scales @ u
    first = (seen * (nodes.weights * (n + 1) / n)[:, None]).T @ seen
    second = np.tensordot(nodes.weights * (seen @ u) / n, nodes.scales, 1)
    return first + second, (seen * nodes.weights[:, None]).T @ nodes.points


def _gradient_in_output(nodes: _Nodes, u: np.ndarray, V: np.ndarray) -> np.ndarray:
    """dL/du = 2 (P u - c), P = (n+1)/n E[K D K] + E[tr(D K) K] / n and c = E[K V H b]."""
    n, K, D = nodes.setting.context_length, nodes.scales, V @ nodes.setting.cov_x @ V.T
    seen = K @ u
    turned = np.einsum("qij,qj->qi", K, seen @ D)
    traces = np.einsum("ij,qij->q", D, K)
    target = np.einsum("qij,qj->qi", K, nodes.points @ nodes.setting.cov_x @ V.T)
    per_node = (n + 1) / n * turned + traces[:, None] / n * seen - target
    gradient: np.ndarray = 2.0 * nodes.weights @ per_node
    return gradient


def _starts(nodes: _Nodes, coordinates: np.ndarray) -> list[np.ndarray]:
    """Directions of coordinates^+ u to descend from."""
    inverse = np.linalg.pinv(coordinates)
    label, towards = inverse[:, -1], inverse[:, :-1] @ nodes.setting.task_mean
    if not towards.any():
        towards = inverse[:, :-1].sum(axis=1)
    label, towards = (v / (np.linalg.norm(v) or 1.0) for v in (label, towards))
    angles = np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES  # never 0, where nothing is to be seen
    plane = [np.cos(angle) * label + np.sin(angle) * towards for angle in angles]
    return plane + list(np.random.default_rng(0).normal(size=(_RANDOM, label.size)))


def _at_nodes(setting: Setting) -> _Nodes:
    H, dim = setting.cov_x, setting.dim
    standard, weights = _quadrature(dim)
    points = setting.task_mean + standard @ matrices.roots(setting.cov_task)[0]
    seen = points @ H
    corner = np.sum(seen * points, axis=1) + setting.noise_var
    blocks = [
        [np.broadcast_to(H, (len(points), dim, dim)), seen[:, :, None]],
        [seen[:, None, :], corner[:, None, None]],
    ]
    return _Nodes(weights, points, np.block(blocks), setting)


def _quadrature(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights that integrate every polynomial of degree 5 against N(0, I_d).

    0 with weight 1 + (d^2 - 7 d) / 18, +-sqrt(3) e_i with (4 - d) / 18, and
    +-sqrt(3) e_i +- sqrt(3) e_j with 1 / 36. Some weights are negative for d > 4.
    """
    eye = np.sqrt(3.0) * np.eye(dim)
    first, second = np.triu_indices(dim, 1)
    pairs = [a * eye[first] + b * eye[second] for a in (1, -1) for b in (1, -1)]
    nodes = [np.zeros((1, dim)), eye, -eye, *pairs]
    values = [1.0 + (dim**2 - 7 * dim) / 18.0, *[(4 - dim) / 18.0] * 2, *[1.0 / 36.0] * 4]
    weights = [np.full(len(part), value) for part, value in zip(nodes, values, strict=True)]
    return np.concatenate(nodes), np.concatenate(weights)
