"""Retrieval-augmented contexts: examples whose covariates resemble the query's."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from elsa.base import checks
from elsa.base.arrays import Number
from elsa.base.precision import exact
from elsa.tasks import draws, fields
from elsa.tasks.prompt import GramPrompt, Prompt
from elsa.tasks.registration import task
from elsa.tasks.wishart import Centre, joint_gram, rows_asked, triangle

_normal = functools.partial(draws.normal, since=4)


@task(static=("dim", "context_length"))
@dataclasses.dataclass(frozen=True, eq=False)
class Retrieval:
    """y = <w, x> + noise where the context's covariates are correlated with the query's.

    The query is x ~ N(0, I), the context x_i | x ~ N(a x, (1 - a^2) I), independent given x, so
    that every x_i is N(0, I) by itself and has correlation a with x; w ~ N(0, I), fresh for every
    prompt. Labels of context and query carry noise N(0, noise_var). Li, Rawat, Oymak
    (arXiv:2407.10005), retrieval-augmented generation.

    Attributes:
      dim: d.
      context_length: n.
      alignment: a, from 0 to 1.
      noise_var: 0 and above.
    """

    dim: int
    context_length: int
    alignment: Number
    noise_var: Number = 0.0

    cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = "Retrieval"
        scalars = {"alignment": self.alignment, "noise_var": self.noise_var}
        fields.common(where, self.dim, self.context_length, **scalars)
        if checks.is_concrete(self.alignment) and np.asarray(self.alignment) > 1.0:
            raise ValueError(f"{where}: alignment must be at most 1, got {self.alignment}")

    @property
    def has_gram(self) -> bool:
        """True: the context is normal given the query."""
        return True

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with a query and a weight vector of its own."""
        fields.draw(self, key, batch)
        w_key, query_key, x_key, noise_key = jax.random.split(key, 4)
        w_BxD = _normal(w_key, (batch, self.dim))
        query_BxD = _normal(query_key, (batch, self.dim))
        own_BxNxD = _normal(x_key, (batch, self.context_length, self.dim))
        x_BxNxD = jnp.asarray(self.alignment) * query_BxD[:, None, :] + self._spread() * own_BxNxD
        noise_BxS = _normal(noise_key, (batch, self.context_length + 1))
        noise_BxS = jnp.sqrt(self.noise_var) * noise_BxS
        return Prompt(
            x_BxNxD,
            jnp.einsum("bnd,bd->bn", x_BxNxD, w_BxD) + noise_BxS[:, :-1],
            query_BxD,
            jnp.einsum("bd,bd->b", query_BxD, w_BxD) + noise_BxS[:, -1],
        )

    @exact
    def sample_gram(
        self, key: Array, batch: int, length: int | Int[Array, ""] | None = None
    ) -> GramPrompt:
        """Gram matrices of `length` context rows, with the distribution the rows would give.

        Given query and w the rows [x_i, y_i] are normal with a mean. Their sum and their centred
        Gram matrix are independent (Cochran), the latter Wishart with `length` - 1 degrees of
        freedom; both are drawn, exactly, whatever the length.

        Args:
          length: 1 and above, context_length where None; may be a tracer.

        Raises:
          TypeError, ValueError: for a concrete length that is not an integer or below 1.
        """
        fields.draw(self, key, batch)
        rows = rows_asked("Retrieval.sample_gram", length, self.context_length)
        w_key, query_key, gram_key, mean_key, noise_key = jax.random.split(key, 5)
        w_BxD = _normal(w_key, (batch, self.dim))
        query_BxD = _normal(query_key, (batch, self.dim))
        drawn = triangle(gram_key, batch, self.dim, rows - 1)
        drawn = drawn._replace(covariates=self._spread() * drawn.covariates)
        own_BxD = _normal(mean_key, (batch, self.dim))
        middle_BxD = jnp.sqrt(rows) * self.alignment * query_BxD + self._spread() * own_BxD
        noise_2xB = jnp.sqrt(self.noise_var) * _normal(noise_key, (2, batch))
        centre = Centre(middle_BxD, jnp.einsum("bd,bd->b", middle_BxD, w_BxD) + noise_2xB[0])
        return GramPrompt(
            joint_gram(drawn, w_BxD, self.noise_var, centre=centre),
            query_BxD,
            jnp.einsum("bd,bd->b", query_BxD, w_BxD) + noise_2xB[1],
        )

    def _spread(self) -> Float[Array, ""]:
        return jnp.sqrt(1.0 - jnp.asarray(self.alignment, dtype=jnp.result_type(float)) ** 2)
