"""Linear regression on designs whose ridge problem has a prescribed condition number."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.tasks import fields
from elsa.tasks.prompt import Prompt, RowsOnly
from elsa.tasks.registration import task


@task(static=("dim", "context_length", "condition_number", "ridge_fraction", "noise_var"))
@dataclasses.dataclass(frozen=True)
class PrescribedSpectrum(RowsOnly):
    """y = X w + noise, where X^T X + lam I has the condition number asked for.

    X = U diag(sqrt(a_i - lam)) V^T with U, V drawn uniformly (Haar) for every task. The eigenvalues
    a_i of X^T X + lam I are spaced evenly in logarithm from the largest to the smallest, scaled to
    largest + smallest = 2, so that the best step size of gradient descent is 1 for every task of
    every condition number. w, the query and the noise are normal with variance 1, 1 and noise_var.

    Attributes:
      dim: d.
      context_length: n; below d, the d - n eigenvalues that X leaves are lam itself.
      condition_number: kappa >= 1 of X^T X + lam I.
      ridge_fraction: lam as a share of the smallest eigenvalue, in [0, 1]; has to be 1 for n < d.
      noise_var: of every label, the query's included.
    """

    dim: int
    context_length: int
    condition_number: float
    ridge_fraction: float = 0.5
    noise_var: float = 0.0

    cuts: ClassVar[bool] = False  # the rows have their condition number only all together

    def __post_init__(self) -> None:
        where = "PrescribedSpectrum"
        checks.size(where, dim=(self.dim, 1), context_length=(self.context_length, 1))
        checks.finite(where, condition_number=self.condition_number, noise_var=self.noise_var)
        checks.at_least(
            where,
            condition_number=(self.condition_number, 1.0),
            ridge_fraction=(self.ridge_fraction, 0.0),
            noise_var=(self.noise_var, 0.0),
        )
        if self.ridge_fraction > 1.0:
            raise ValueError(
                f"{where}: ridge_fraction must be at most 1, got {self.ridge_fraction}"
            )
        if self.dim == 1 and self.condition_number != 1.0:
            raise ValueError(
                f"{where}: condition_number must be 1 where dim=1, as there is one eigenvalue; "
                f"got {self.condition_number}"
            )
        if self.context_length < self.dim and self.ridge_fraction != 1.0:
            raise ValueError(
                f"{where}: ridge_fraction must be 1 where context_length={self.context_length} is "
                f"below dim={self.dim}, because lam is then the smallest eigenvalue; "
                f"got {self.ridge_fraction}"
            )

    @property
    def eigenvalues(self) -> Float[np.ndarray, " d"]:
        """Of X^T X + lam I, largest first; largest + smallest = 2."""
        smallest = 2.0 / (1.0 + self.condition_number)
        spread = np.linspace(1.0, 0.0, self.dim) if self.dim > 1 else np.ones(1)
        values = smallest * self.condition_number**spread
        values[self.context_length :] = smallest
        return values

    @property
    def lam(self) -> float:
        """The regulariser."""
        return float(self.ridge_fraction * 2.0 / (1.0 + self.condition_number))

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of tasks, each with directions, weights, noise and query of its own."""
        fields.draw(self, key, batch)
        left_key, right_key, w_key, noise_key, query_key = jax.random.split(key, 5)
        n, d, rank = self.context_length, self.dim, min(self.context_length, self.dim)
        roots = jnp.sqrt(jnp.maximum(jnp.asarray(self.eigenvalues[:rank]) - self.lam, 0.0))
        left = frame(left_key, batch, n, rank)
        right = frame(right_key, batch, d, rank)
        x_BxNxD = (left * roots[None, None, :]) @ jnp.swapaxes(right, 1, 2)
        w_BxD = jax.random.normal(w_key, (batch, d))
        noise_BxS = self.noise_var**0.5 * jax.random.normal(noise_key, (batch, n + 1))
        query_BxD = jax.random.normal(query_key, (batch, d))
        return Prompt(
            x_BxNxD,
            jnp.einsum("bnd,bd->bn", x_BxNxD, w_BxD) + noise_BxS[:, :-1],
            query_BxD,
            jnp.einsum("bd,bd->b", query_BxD, w_BxD) + noise_BxS[:, -1],
        )


def frame(key: Array, batch: int, rows: int, rank: int) -> Float[Array, "batch rows rank"]:
    """Uniform orthonormal columns: the Q factor of a normal matrix, signs fixed by R's diagonal."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (batch, rows, rank)))
    return q * jnp.sign(jnp.diagonal(r, axis1=1, axis2=2))[:, None, :]
