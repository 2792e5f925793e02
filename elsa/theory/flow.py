"""Gradient flow of GD-beta on its population risk: exact gradients, no sampling."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base.arrays import Numbers, Rows
from elsa.theory import gd_beta, matrices
from elsa.theory.matrices import Vector
from elsa.theory.setting import Setting, require

_RELATIVE = 1e-10  # tolerance of the integrator, of every entry
_ABSOLUTE = 1e-20  # in units of the start's distance, or of 1 where that is smaller
RESOLVED = 1e5 * _ABSOLUTE  # distances above this, in the same units, are right to five digits,
LOST = 10.0 * _ABSOLUTE  # and below this to none


class GdBetaFlow(NamedTuple):
    """The flow at the given times.

    inits, preconditioners: b0 and Gamma.
    distances: (|b0 - b*|^2 + |Gamma - Gamma*|^2)^(1/2).
    excess_risks: the risk above its minimum.
    """

    inits: Float[np.ndarray, "times d"]
    preconditioners: Float[np.ndarray, "times d d"]
    distances: Float[np.ndarray, " times"]
    excess_risks: Float[np.ndarray, " times"]


def gd_beta_flow(
    init: Vector,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
    setting: Setting,
    times: Real[ArrayLike, " times"] | Numbers,
) -> GdBetaFlow:
    """Solves (b0, Gamma)' = -grad R(b0, Gamma), R = `gd_beta_risk`, from any start.

    In the deviations delta = b* - b0 and E = Gamma - Gamma*, with W = Gamma / n, Q(W) as in
    `gd_beta_gradient` and M = (n + 1) H Psi H + (tr(H Psi) + s2) H, the flow is

        delta' = -2 Q(W) delta
        E'     = -2 H (E / n) M - 2 H W [(n + 1) H D H + tr(H D) H] + 2 H D H,    D = delta delta^T

    and the excess risk n tr(H (E / n) M (E / n)^T) + delta^T Q(W) delta: no difference of nearly
    equal numbers, so that distance and excess keep their digits far below rounding of the risk.
    The excess never rises, and where H and Psi are positive definite it falls to 0 from every
    start (arXiv:2402.14951), at the rate of `gd_beta_rates` in the end. The integrator is LSODA,
    because the system is stiff in the beginning, by 1 + |delta|^2.

    Args:
      init, preconditioner: where the flow starts.
      setting: as in `gd_beta_risk`.
      times: 0 and above, rising.

    Raises:
      ValueError: as `gd_beta_risk`, and for times that are negative, do not rise, or are none.
      TypeError: as `gd_beta_risk`.
      ArithmeticError: where the integrator gives up, with what it says.
    """
    import scipy.integrate

    where = "gd_beta_flow"
    require(where, setting)
    mean, best = setting.task_mean, gd_beta.gd_beta_optimum(setting).preconditioner
    delta = mean - matrices.vector(where, "init", init, mean.size)
    error = matrices.weight(where, "preconditioner", preconditioner, mean.size) - best
    when = matrices.real(where, "times", times)
    if when.ndim != 1 or when.size == 0 or when[0] < 0 or np.any(np.diff(when) <= 0):
        raise ValueError(f"{where}: times must rise from 0 or above, got {when.tolist()}")
    fall = _Fall(best, setting)
    start = np.concatenate([delta, error.ravel()])
    length = max(float(np.linalg.norm(start)), 1.0)
    if when[-1] == 0.0:  # the start alone, for which the integrator returns no array
        return _read(mean, best, start[None], fall)
    solved = scipy.integrate.solve_ivp(
        lambda _, state: fall.velocity(state),
        (0.0, when[-1]),
        start,
        method="LSODA",
        t_eval=when,
        rtol=_RELATIVE,
        atol=_ABSOLUTE * length,
    )
    if not solved.success:
        raise ArithmeticError(f"{where}: the integrator stopped: {solved.message}")
    return _read(mean, best, solved.y.T, fall)


def _read(mean: np.ndarray, best: np.ndarray, states: np.ndarray, fall: "_Fall") -> GdBetaFlow:
    """The flow from its deviations, [times, d + d^2]."""
    deltas, errors = states[:, : mean.size], states[:, mean.size :]
    return GdBetaFlow(
        mean[None] - deltas,
        best[None] + errors.reshape(-1, mean.size, mean.size),
        np.linalg.norm(states, axis=1),
        np.array([fall.excess(state) for state in states]),
    )


class _Fall:
    """The vector field, and the excess risk, in the deviations from the optimum."""

    def __init__(self, best: np.ndarray, setting: Setting):
        self.dim, self.best = setting.dim, best
        self.data, self.rows = setting.cov_x, setting.context_length
        self.moment = self._moment(setting.cov_task, setting.noise_var)

    def velocity(self, state: np.ndarray) -> np.ndarray:
        delta, error = self._parts(state)
        H, W = self.data, (self.best + error) / self.rows
        outer = np.outer(delta, delta)
        pull = H @ (error / self.rows) @ self.moment
        push = H @ W @ self._moment(outer, 0.0) - H @ outer @ H
        return -2.0 * np.concatenate([self._curvature(W) @ delta, (pull + push).ravel()])

    def excess(self, state: np.ndarray) -> float:
        delta, error = self._parts(state)
        deviation = error / self.rows
        of_weight = self.rows * np.trace(self.data @ deviation @ self.moment @ deviation.T)
        return float(of_weight + delta @ self._curvature(self.best / self.rows + deviation) @ delta)

    def _parts(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return state[: self.dim], state[self.dim :].reshape(self.dim, self.dim)

    def _moment(self, task: np.ndarray, noise_var: float) -> np.ndarray:
        """E[X^T y y^T X] / n for tasks of that second moment."""
        H = self.data
        moment: np.ndarray = (self.rows + 1) * H @ task @ H + (np.trace(H @ task) + noise_var) * H
        return moment

    def _curvature(self, W: np.ndarray) -> np.ndarray:
        return gd_beta.curvature(W, self.data, self.rows)
