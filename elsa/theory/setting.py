"""The setting of a closed form: the distributions of task, covariates and noise, each by name."""

import dataclasses

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Rows
from elsa.theory import matrices
from elsa.theory.matrices import Vector


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Setting:
    """Linear regression in context on independent Gaussian data.

        b ~ N(b*, Psi),    x_1 .. x_n and the query x ~ N(0, Sx),    y = x . b + N(0, s2)

    on the context and on the query. All is checked once, here, and kept in float64 as read-only
    copies, so that later changes of the caller's arrays have no effect.
    Setting of Li, Rawat, Oymak (arXiv:2407.10005) and, with a mean, of Zhang, Wu, Bartlett
    (arXiv:2402.14951).

    Args:
      dim: d.
      context_length: n.
      noise_var: s2, 0 and above.
      cov_x: Sx, symmetric positive semi-definite; the identity where None.
      cov_task: Psi, the covariance of the task about its mean; the identity where None.
      task_mean: b*, [d] or [d, 1]; zero where None.

    Raises:
      ValueError: for shapes that do not fit d, a matrix that is not a covariance, NaN or infinity,
        d < 1, n < 1 or s2 < 0.
      TypeError: for a d or n that is not an integer, anything but real numbers, and traced values.
    """

    dim: int
    context_length: int
    noise_var: float
    cov_x: Float[np.ndarray, "d d"]
    cov_task: Float[np.ndarray, "d d"]
    task_mean: Float[np.ndarray, " d"]

    def __init__(
        self,
        *,
        dim: int,
        context_length: int,
        noise_var: float,
        cov_x: Real[ArrayLike, "d d"] | Rows | None = None,
        cov_task: Real[ArrayLike, "d d"] | Rows | None = None,
        task_mean: Vector | None = None,
    ):
        where = "Setting"
        laws = {"cov_x": cov_x, "cov_task": cov_task, "task_mean": task_mean}
        for name, law in {"noise_var": noise_var, **laws}.items():
            checks.concrete(where, name, law)
        matrices.sizes(where, noise_var=noise_var, dim=dim, context_length=context_length)
        fields: dict[str, object] = {
            "dim": int(dim),
            "context_length": int(context_length),
            "noise_var": float(noise_var),
            "cov_x": _covariance(where, "cov_x", cov_x, dim),
            "cov_task": _covariance(where, "cov_task", cov_task, dim),
            "task_mean": _read_only(
                np.zeros(dim)
                if task_mean is None
                else matrices.vector(where, "task_mean", task_mean, dim)
            ),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)  # it is frozen

    @property
    def second_moment(self) -> Float[np.ndarray, "d d"]:
        """E[b b^T] = Psi + b* b*^T, all that a step from zero sees of the task."""
        return self.cov_task + np.outer(self.task_mean, self.task_mean)

    def centred(self) -> "Setting":
        """The same with b* = 0, whose second moment is Psi."""
        return dataclasses.replace(self, task_mean=np.zeros(self.dim))


def require(where: str, setting: object) -> None:
    """Refuses anything but a `Setting`, such as a covariance in its place.

    Raises:
      TypeError: naming the type received, and how to make a setting.
    """
    if not isinstance(setting, Setting):
        raise TypeError(
            f"{where}: setting must be a theory.Setting, got {type(setting).__name__}; "
            "make one by theory.Setting(dim=.., context_length=.., noise_var=.., cov_x=.., "
            "cov_task=.., task_mean=..)"
        )


def _covariance(where: str, name: str, given: AnyShape | None, dim: int) -> np.ndarray:
    if given is None:
        return _read_only(np.eye(dim))
    return _read_only(matrices.covariance(where, name, given, dim))


def _read_only(array: np.ndarray) -> np.ndarray:
    """A read-only copy."""
    kept = array.copy()
    kept.setflags(write=False)
    return kept
