"""Linear regression whose weight vector drifts along the context."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import arithmetic, checks
from elsa.base.arrays import Number
from elsa.base.precision import exact
from elsa.tasks import draws, fields
from elsa.tasks.covariance import symmetric_root
from elsa.tasks.prompt import Prompt, RowsOnly
from elsa.tasks.registration import task

_normal = functools.partial(draws.normal, since=4)
# Rows of a context, in multiples of d, up to which n^2 numbers a prompt are no burden.
_FEW_ROWS = 4


@task(static=("dim", "context_length"))
@dataclasses.dataclass(frozen=True, eq=False)
class Drift(RowsOnly):
    """y_i = <w_i, x_i> + noise with a weight vector for every row and correlations between them.

    w_1, ..., w_{n+1} are normal with E[w_i w_j^T] = C_ij I, C = task_corr, the last one the
    query's; covariates of context and query are independent N(0, I). Labels of context and query
    carry noise N(0, noise_var). The setting in which Li, Rawat, Oymak (arXiv:2407.10005) find
    that sample weights help.

    Attributes:
      dim: d.
      context_length: n.
      task_corr: C, [n + 1, n + 1], symmetric positive semidefinite with ones on the diagonal.
      noise_var: 0 and above.
      root: of task_corr, computed here.
    """

    dim: int
    context_length: int
    task_corr: Real[ArrayLike, "{context_length}+1 {context_length}+1"]
    noise_var: Number = 0.0
    root: Any = dataclasses.field(init=False, repr=False)

    cuts: ClassVar[bool] = True  # the last rows are the nearest ones
    sweeps: ClassVar[tuple[str, ...]] = ("correlation",)

    @classmethod
    def from_config(cls, where: str, given: Mapping[str, Any]) -> Self:
        """Of a config, where `correlation` may take the place of `task_corr`: the number rho of the
        autoregressive matrix.

        Raises:
          KeyError, ValueError, TypeError: as `fields.of_config`; for both of the two.
        """
        checks.mapping(where, "a mapping of fields to values", given=given)
        settings = dict(given)
        if "correlation" in settings:
            rho = settings.pop("correlation")
            if "task_corr" in settings:
                raise ValueError(f"{where}: give task_corr or correlation, got both")
            settings["task_corr"] = autoregressive(settings.get("context_length", 1), rho)
        return fields.of_config(cls, where, settings)

    def __post_init__(self) -> None:
        where = "Drift"
        fields.common(where, self.dim, self.context_length, noise_var=self.noise_var)
        points = self.context_length + 1
        fields.sized(where, "task_corr", self.task_corr, (points, points))
        object.__setattr__(self, "root", symmetric_root(where, "task_corr", self.task_corr))
        if checks.is_concrete(self.task_corr):
            diagonal = np.diagonal(np.asarray(self.task_corr, dtype=np.float64))
            worst = diagonal[np.abs(diagonal - 1.0).argmax()]
            if abs(worst - 1.0) > 1e-6:
                raise ValueError(f"{where}: task_corr must have ones on its diagonal, got {worst}")

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with weight vectors of its own."""
        fields.draw(self, key, batch)
        w_key, x_key, noise_key = jax.random.split(key, 3)
        size = (batch, self.context_length + 1, self.dim)
        own_BxSxD, x_BxSxD = _normal(w_key, size), _normal(x_key, size)
        noise_BxS = jnp.sqrt(self.noise_var) * _normal(noise_key, size[:2])
        y_BxS = self._label_means(x_BxSxD, own_BxSxD) + noise_BxS
        return Prompt(x_BxSxD[:, :-1], y_BxS[:, :-1], x_BxSxD[:, -1], y_BxS[:, -1])

    def _label_means(
        self, x: Float[Array, "batch points d"], own: Float[Array, "batch points d"]
    ) -> Float[Array, "batch points"]:
        """<w_s, x_s> with w_s = sum_t root_st own_t.

        For short contexts it is sum_t root_st <own_t, x_s>: the products hold no correlation, so
        that a sweep over correlations forms them once, and no weight vector at all.
        """
        root = jnp.asarray(self.root)
        if arithmetic.version() < 5 or self.context_length > _FEW_ROWS * self.dim:
            w_BxSxD = jnp.einsum("st,btd->bsd", root, own)
            return jnp.einsum("bsd,bsd->bs", x, w_BxSxD)
        products_BxSxT = jnp.einsum("bsd,btd->bst", x, own)
        return (products_BxSxT * root[None]).sum(axis=-1)


def autoregressive(
    context_length: int, correlation: Number
) -> (
    Float[Array, "{context_length}+1 {context_length}+1"]
    | Float[np.ndarray, "{context_length}+1 {context_length}+1"]
):
    """C_ij = correlation^|i - j| for n + 1 tasks: an autoregression of order 1, for `Drift`.

    Args:
      context_length: n, 1 and above.
      correlation: between neighbours, from -1 to 1; may be a tracer.

    Raises:
      TypeError, ValueError: for a size or a concrete correlation out of range.
    """
    where = "autoregressive"
    checks.size(where, context_length=(context_length, 1))
    checks.shapes(where, correlation=(correlation, ""))
    checks.finite(where, correlation=correlation)
    points = np.arange(context_length + 1)
    distance = np.abs(points[:, None] - points[None, :])
    powers: Array | np.ndarray
    if not checks.is_concrete(correlation):
        powers = jnp.asarray(correlation) ** distance
        return powers
    known = np.asarray(correlation, dtype=np.float64)
    if np.abs(known) > 1.0:
        raise ValueError(f"{where}: correlation must be from -1 to 1, got {correlation}")
    powers = known**distance
    return powers
