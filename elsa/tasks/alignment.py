"""Covariates that point along the task's weight vector."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from elsa.base.arrays import Number
from elsa.base.precision import exact
from elsa.tasks import draws, fields
from elsa.tasks.prompt import GramPrompt, Prompt
from elsa.tasks.registration import task
from elsa.tasks.wishart import Centre, joint_gram, rows_asked, triangle

_normal = functools.partial(draws.normal, since=4)


@task(static=("dim", "context_length"))
@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """y = <w, x>/sqrt(k) + noise with x | w ~ N(a w, I), k = a^2 d + 1.

    w ~ N(0, I) is fresh for every prompt; context and query are independent given w. Labels of
    context and query carry noise N(0, noise_var), which k does not scale. Li, Rawat, Oymak
    (arXiv:2407.10005), task-feature alignment.

    Attributes:
      dim: d.
      context_length: n.
      alignment: a, 0 and above.
      noise_var: 0 and above.
    """

    dim: int
    context_length: int
    alignment: Number
    noise_var: Number = 0.0

    cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        scalars = {"alignment": self.alignment, "noise_var": self.noise_var}
        fields.common("Alignment", self.dim, self.context_length, **scalars)

    @property
    def has_gram(self) -> bool:
        """True: the covariates are normal given the task."""
        return True

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with a weight vector of its own."""
        fields.draw(self, key, batch)
        w_key, x_key, noise_key = jax.random.split(key, 3)
        w_BxD = _normal(w_key, (batch, self.dim))
        own_BxSxD = _normal(x_key, (batch, self.context_length + 1, self.dim))
        x_BxSxD = jnp.asarray(self.alignment) * w_BxD[:, None, :] + own_BxSxD
        noise_BxS = jnp.sqrt(self.noise_var) * _normal(noise_key, x_BxSxD.shape[:2])
        y_BxS = jnp.einsum("bsd,bd->bs", x_BxSxD, self._scale() * w_BxD) + noise_BxS
        return Prompt(x_BxSxD[:, :-1], y_BxS[:, :-1], x_BxSxD[:, -1], y_BxS[:, -1])

    @exact
    def sample_gram(
        self, key: Array, batch: int, length: int | Int[Array, ""] | None = None
    ) -> GramPrompt:
        """Gram matrices of `length` context rows, with the distribution the rows would give.

        Given w the rows [x_i, y_i] are normal with a mean. Their sum and their centred Gram matrix
        are independent (Cochran), the latter Wishart with `length` - 1 degrees of freedom; both
        are drawn, exactly, whatever the length.

        Args:
          length: 1 and above, context_length where None; may be a tracer.

        Raises:
          TypeError, ValueError: for a concrete length that is not an integer or below 1.
        """
        fields.draw(self, key, batch)
        rows = rows_asked("Alignment.sample_gram", length, self.context_length)
        w_key, gram_key, mean_key, query_key, noise_key = jax.random.split(key, 5)
        w_BxD = _normal(w_key, (batch, self.dim))
        scaled_BxD = self._scale() * w_BxD
        drawn = triangle(gram_key, batch, self.dim, rows - 1)
        own_BxD = _normal(mean_key, (batch, self.dim))
        middle_BxD = jnp.sqrt(rows) * self.alignment * w_BxD + own_BxD
        query_BxD = jnp.asarray(self.alignment) * w_BxD + _normal(query_key, (batch, self.dim))
        noise_2xB = jnp.sqrt(self.noise_var) * _normal(noise_key, (2, batch))
        centre = Centre(middle_BxD, jnp.einsum("bd,bd->b", middle_BxD, scaled_BxD) + noise_2xB[0])
        return GramPrompt(
            joint_gram(drawn, scaled_BxD, self.noise_var, centre=centre),
            query_BxD,
            jnp.einsum("bd,bd->b", query_BxD, scaled_BxD) + noise_2xB[1],
        )

    def _scale(self) -> Float[Array, ""]:
        alignment = jnp.asarray(self.alignment, dtype=jnp.result_type(float))
        return 1.0 / jnp.sqrt(alignment**2 * self.dim + 1.0)
