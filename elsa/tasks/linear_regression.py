"""Linear regression with a fresh weight vector for every prompt."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Real

from elsa.base import checks
from elsa.base.arrays import Number
from elsa.base.precision import exact
from elsa.tasks import draws, fields
from elsa.tasks.covariance import symmetric_root
from elsa.tasks.gamma import gamma
from elsa.tasks.prompt import GramPrompt, Prompt
from elsa.tasks.registration import task
from elsa.tasks.wishart import joint_gram, rows_asked, triangle

COVARIATES = ("normal", "sphere", "gamma")


class Parts(NamedTuple):
    """A batch of prompts before there are labels; the last row is the query's.

    weight: w, [batch, d].
    x: covariates, [batch, n + 1, d].
    noise: of the labels, [batch, n + 1].
    """

    weight: Float[Array, "batch d"]
    x: Float[Array, "batch n+1 d"]
    noise: Float[Array, "batch n+1"]


def prompt_of(parts: Parts) -> Prompt:
    """The prompts whose labels are <w, x> + noise."""
    y_BxS = jnp.einsum("bsd,bd->bs", parts.x, parts.weight) + parts.noise
    return Prompt(parts.x[:, :-1], y_BxS[:, :-1], parts.x[:, -1], y_BxS[:, -1])


@task(static=("dim", "context_length", "covariates"))
@dataclasses.dataclass(frozen=True, eq=False)
class LinearRegression:
    """y = <w, x> + noise with w ~ N(task_mean, cov_task), fresh for every prompt.

    The covariates x of context and query are independent, with mean 0 and covariance cov_x:
    x = R u with R the symmetric root of cov_x and

        "normal"   u ~ N(0, I);
        "sphere"   u uniform on the sphere of radius sqrt(d);
        "gamma"    u of independent entries (g - k) / sqrt(k), g ~ Gamma(k), k = gamma_shape:
                   skewed, with third moment 2 / sqrt(k).

    Labels of context and query carry noise N(0, noise_var). Setting A of the closed forms in
    Li, Rawat, Oymak (arXiv:2407.10005).

    Attributes:
      dim: d.
      context_length: n.
      noise_var: 0 and above.
      cov_x, cov_task: [d, d], symmetric positive semidefinite; the identity where None.
      task_mean: [d]; zero where None.
      covariates: "normal", "sphere" or "gamma".
      gamma_shape: k; for "gamma" only.
      root_x, root_task: roots of the covariances, computed here.
    """

    dim: int
    context_length: int
    noise_var: Number = 0.0
    cov_x: Real[ArrayLike, "d d"] | None = None
    cov_task: Real[ArrayLike, "d d"] | None = None
    task_mean: Real[ArrayLike, " d"] | None = None
    covariates: str = "normal"
    gamma_shape: Number = 1.0
    root_x: Any = dataclasses.field(init=False, repr=False)
    root_task: Any = dataclasses.field(init=False, repr=False)

    cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = "LinearRegression"
        scalars = {"noise_var": self.noise_var, "gamma_shape": self.gamma_shape}
        fields.common(where, self.dim, self.context_length, **scalars)
        checks.one_of(where, "covariates", self.covariates, COVARIATES)
        checks.positive(where, gamma_shape=self.gamma_shape)
        if self.task_mean is not None:
            fields.sized(where, "task_mean", self.task_mean, (self.dim,))
            checks.finite(where, task_mean=self.task_mean)
        for name, root in (("cov_x", "root_x"), ("cov_task", "root_task")):
            matrix = getattr(self, name)
            if matrix is not None:
                fields.sized(where, name, matrix, (self.dim, self.dim))
            factor = None if matrix is None else symmetric_root(where, name, matrix)
            object.__setattr__(self, root, factor)

    @property
    def has_gram(self) -> bool:
        """Whether the covariates are normal."""
        return self.covariates == "normal"

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with a weight vector of its own."""
        return prompt_of(self.parts(key, batch))

    @exact
    def parts(self, key: Array, batch: int) -> Parts:
        """The parts that `sample` combines, for a task that changes covariates first."""
        fields.draw(self, key, batch)
        w_key, x_key, noise_key = jax.random.split(key, 3)
        w_BxD = self._weights(w_key, batch)
        x_BxSxD = self._covariates(x_key, (batch, self.context_length + 1))
        noise_BxS = jnp.sqrt(self.noise_var) * draws.normal(noise_key, x_BxSxD.shape[:2])
        return Parts(w_BxD, x_BxSxD, noise_BxS)

    @exact
    def sample_gram(
        self, key: Array, batch: int, length: int | Int[Array, ""] | None = None
    ) -> GramPrompt:
        """Gram matrices of `length` context rows, with the distribution the rows would give.

        Given w, [X y]^T [X y] is Wishart with scale [[H, H w], [w^T H, w^T H w + s2]], H = cov_x;
        it is drawn by Bartlett's triangle, exactly, whatever the length.

        Args:
          length: 1 and above, context_length where None; may be a tracer.

        Raises:
          ValueError: for covariates that are not normal, or a concrete length below 1.
          TypeError: for a concrete length that is not an integer.
        """
        fields.draw(self, key, batch)
        if not self.has_gram:
            raise ValueError(
                f"LinearRegression.sample_gram: covariates must be 'normal', got "
                f"{self.covariates!r}; use gram_prompt(task.sample(key, batch))"
            )
        rows = rows_asked("LinearRegression.sample_gram", length, self.context_length)
        w_key, gram_key, x_key, noise_key = jax.random.split(key, 4)
        w_BxD = self._weights(w_key, batch)
        drawn = triangle(gram_key, batch, self.dim, rows)
        if self.root_x is not None:
            drawn = drawn._replace(covariates=jnp.asarray(self.root_x) @ drawn.covariates)
        query_BxD = self._covariates(x_key, (batch,))
        noise_B = jnp.sqrt(self.noise_var) * draws.normal(noise_key, (batch,))
        return GramPrompt(
            joint_gram(drawn, w_BxD, self.noise_var),
            query_BxD,
            jnp.einsum("bd,bd->b", query_BxD, w_BxD) + noise_B,
        )

    def _weights(self, key: Array, batch: int) -> Float[Array, "batch d"]:
        w_BxD = draws.normal(key, (batch, self.dim))
        if self.root_task is not None:
            w_BxD = w_BxD @ jnp.asarray(self.root_task)
        return w_BxD if self.task_mean is None else w_BxD + jnp.asarray(self.task_mean)[None, :]

    def _covariates(self, key: Array, leading: tuple[int, ...]) -> Float[Array, "*leading d"]:
        size = (*leading, self.dim)
        if self.covariates == "gamma":
            shape = jnp.asarray(self.gamma_shape, dtype=jnp.result_type(float))
            u = (gamma(key, shape, size) - shape) / jnp.sqrt(shape)
        else:
            u = draws.normal(key, size)
        if self.covariates == "sphere":
            u = self.dim**0.5 * u / jnp.linalg.norm(u, axis=-1, keepdims=True)
        return u if self.root_x is None else u @ jnp.asarray(self.root_x)
