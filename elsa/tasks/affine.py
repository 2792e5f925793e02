"""Linear regression with an intercept, fresh for every prompt."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base.arrays import Number
from elsa.base.precision import exact
from elsa.tasks import fields
from elsa.tasks.linear_regression import LinearRegression, prompt_of
from elsa.tasks.prompt import Prompt, RowsOnly
from elsa.tasks.registration import task


@task(static=("dim", "context_length"))
@dataclasses.dataclass(frozen=True, eq=False)
class AffineRegression(RowsOnly):
    """y = <w, x> + c + noise with w ~ N(0, cov_task) and c ~ N(0, intercept_var).

    w and c are independent, fresh for every prompt and shared by its rows; x ~ N(0, cov_x). Labels
    of context and query carry noise N(0, noise_var).

    Attributes:
      dim: d.
      context_length: n.
      noise_var, intercept_var: 0 and above.
      cov_x, cov_task: [d, d], symmetric positive semidefinite; the identity where None.
    """

    dim: int
    context_length: int
    noise_var: Number = 0.0
    intercept_var: Number = 1.0
    cov_x: Real[ArrayLike, "d d"] | None = None
    cov_task: Real[ArrayLike, "d d"] | None = None

    cuts: ClassVar[bool] = True  # rows are exchangeable given w and c

    def __post_init__(self) -> None:
        where = "AffineRegression"
        scalars = {"noise_var": self.noise_var, "intercept_var": self.intercept_var}
        fields.common(where, self.dim, self.context_length, **scalars)
        _ = self._linear  # its checks are this task's

    @property
    def _linear(self) -> LinearRegression:
        """The same regression without its intercept."""
        return LinearRegression(
            self.dim, self.context_length, self.noise_var, self.cov_x, self.cov_task
        )

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with a weight vector and an intercept of its own."""
        fields.draw(self, key, batch)
        linear_key, intercept_key = jax.random.split(key)
        parts = self._linear.parts(linear_key, batch)
        c_Bx1 = jnp.sqrt(self.intercept_var) * jax.random.normal(intercept_key, (batch, 1))
        return prompt_of(parts._replace(noise=parts.noise + c_Bx1))
