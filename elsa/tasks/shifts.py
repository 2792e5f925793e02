"""Prompts from another distribution than the one that a model was trained on."""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.tasks import fields
from elsa.tasks.linear_regression import LinearRegression, prompt_of
from elsa.tasks.prompt import Prompt, RowsOnly
from elsa.tasks.registration import task
from elsa.tasks.spectrum import frame

_OF_ANY = ("context_length", "noise_var")  # of any task that has a field of this name
_SHIFTS = ("query_scale", "orthogonal_query", "half_subspace")
_FIELDS = tuple(field.name for field in dataclasses.fields(LinearRegression) if field.init)


@task(static=("orthogonal_query", "half_subspace"))
@dataclasses.dataclass(frozen=True, eq=False)
class ShiftedRegression(RowsOnly):
    """Linear regression whose covariates are moved before they get their labels.

    Prompts of `base`, with its weight vector w and its noise; in this order,

        half_subspace     every x becomes P x, P the projection onto a subspace of floor(d/2)
                          dimensions, drawn uniformly for every prompt;
        orthogonal_query  the query becomes (I - P_X) x, P_X the projection onto the context's span:
                          the context says nothing of its label;
        query_scale       the query becomes c x;

    and then y = <w, x> + noise of all rows. The shifts of Garg et al. (arXiv:2208.01066), who ask
    how well a trained model extrapolates.

    Attributes:
      base: the linear regression.
      query_scale: c, above 0.
      orthogonal_query: needs n < d, with half_subspace n < floor(d/2).
      half_subspace: needs d of at least 2.
    """

    base: LinearRegression
    query_scale: ArrayLike = 1.0
    orthogonal_query: bool = False
    half_subspace: bool = False

    cuts: ClassVar[bool] = False  # the query is orthogonal to all rows, not to the last ones
    sweeps: ClassVar[tuple[str, ...]] = _FIELDS

    def __post_init__(self) -> None:
        where = "ShiftedRegression"
        if not isinstance(self.base, LinearRegression):
            raise TypeError(
                f"{where}: base must be a LinearRegression, got {type(self.base).__name__}"
            )
        checks.shapes(where, query_scale=(self.query_scale, ""))
        checks.positive(where, query_scale=self.query_scale)
        flags = {"orthogonal_query": self.orthogonal_query, "half_subspace": self.half_subspace}
        checks.boolean(where, **flags)
        room = self.dim // 2 if self.half_subspace else self.dim
        if not room:
            raise ValueError(f"{where}: half_subspace needs dim of at least 2, got {self.dim}")
        if self.orthogonal_query and self.context_length >= room:
            raise ValueError(
                f"{where}: orthogonal_query needs a context_length below the {room} dimensions of "
                f"the covariates, got {self.context_length}: the context spans them all"
            )

    @classmethod
    def from_config(cls, where: str, given: Mapping[str, Any]) -> Self:
        """Of a config, which gives the fields of the linear regression and the shifts side by side.

        Raises:
          KeyError, ValueError, TypeError: as `fields.of_config`.
        """
        checks.mapping(where, "a mapping of fields to values", given=given)
        checks.known_names(where, "field", given, [*_FIELDS, *_SHIFTS])
        shift_fields = {name: value for name, value in given.items() if name in _SHIFTS}
        rest = {name: value for name, value in given.items() if name not in _SHIFTS}
        return cls(fields.of_config(LinearRegression, where, rest), **shift_fields)

    @property
    def dim(self) -> int:
        """d."""
        return self.base.dim

    @property
    def context_length(self) -> int:
        """n."""
        return self.base.context_length

    @exact
    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts, each with a weight vector and a subspace of its own."""
        fields.draw(self, key, batch)
        base_key, subspace_key = jax.random.split(key)
        parts = self.base.parts(base_key, batch)
        x_BxSxD, d = parts.x, self.dim
        if self.half_subspace:
            frame_BxDxR = frame(subspace_key, batch, d, d // 2)
            x_BxSxD = jnp.einsum("bsd,bdr->bsr", x_BxSxD, frame_BxDxR)
            x_BxSxD = jnp.einsum("bsr,bdr->bsd", x_BxSxD, frame_BxDxR)
        query_BxD = x_BxSxD[:, -1]
        if self.orthogonal_query:
            basis_BxDxN, _ = jnp.linalg.qr(jnp.swapaxes(x_BxSxD[:, :-1], 1, 2))
            seen_BxN = jnp.einsum("bd,bdn->bn", query_BxD, basis_BxDxN)
            query_BxD = query_BxD - jnp.einsum("bn,bdn->bd", seen_BxN, basis_BxDxN)
        x_BxSxD = x_BxSxD.at[:, -1].set(self.query_scale * query_BxD)
        return prompt_of(parts._replace(x=x_BxSxD))


def shifted(
    task: Any,
    *,
    context_length: int | None = None,
    noise_var: ArrayLike | None = None,
    covariate_scale: ArrayLike = 1.0,
    cov_x: Float[ArrayLike, "d d"] | None = None,
    query_scale: ArrayLike = 1.0,
    orthogonal_query: bool = False,
    half_subspace: bool = False,
) -> Any:
    """A task whose prompts are another task's, changed; labels follow, by the prompt's own weights.

    Length and noise can be changed of every task that is a dataclass with such a field. All else
    needs a linear regression, because no other task can be asked for the label that a moved
    covariate would have. What the fields of a linear regression can express stays one, so that
    closed forms and Gram samplers know it; the rest is a `ShiftedRegression`.

    Args:
      task: also a ShiftedRegression, which is shifted further.
      context_length: n.
      noise_var: of the labels of context and query.
      covariate_scale: c; context and query have covariance c^2 cov_x.
      cov_x: [d, d], in place of the task's; c scales it too.
      query_scale, orthogonal_query, half_subspace: see `ShiftedRegression`.

    Raises:
      TypeError: for a shift that this task does not support, naming those that it does.
      ValueError: as the task says, as for a drift whose `task_corr` is of another length.
    """
    where = "shifted"
    checks.shapes(where, covariate_scale=(covariate_scale, ""), query_scale=(query_scale, ""))
    checks.positive(where, covariate_scale=covariate_scale, query_scale=query_scale)
    checks.boolean(where, orthogonal_query=orthogonal_query, half_subspace=half_subspace)
    plain = {"context_length": context_length, "noise_var": noise_var}
    changed = {name: value for name, value in plain.items() if value is not None}
    moved = {
        "covariate_scale": _moves(covariate_scale),
        "cov_x": cov_x is not None,
        "query_scale": _moves(query_scale),
        "orthogonal_query": orthogonal_query,
        "half_subspace": half_subspace,
    }
    shifts = [*changed, *(name for name, is_asked in moved.items() if is_asked)]
    before = task if isinstance(task, ShiftedRegression) else None
    base = task if before is None else before.base
    _refuse(where, base, shifts)
    if moved["covariate_scale"] or moved["cov_x"]:
        cov = base.cov_x if cov_x is None else cov_x
        if cov_x is not None:
            checks.real(where, cov_x=cov_x)
        square = jnp.square(jnp.asarray(covariate_scale))
        if checks.is_concrete(square) and not np.isfinite(square):
            raise ValueError(
                f"{where}: covariate_scale must have a finite square, got {covariate_scale}"
            )
        changed["cov_x"] = square * (np.eye(base.dim) if cov is None else np.array(cov))
    if changed:
        base = dataclasses.replace(base, **changed)
    if before is not None:
        return ShiftedRegression(
            base,
            before.query_scale * query_scale,
            before.orthogonal_query or orthogonal_query,
            before.half_subspace or half_subspace,
        )
    if any(moved[name] for name in _SHIFTS):
        return ShiftedRegression(base, query_scale, orthogonal_query, half_subspace)
    return base


SHIFTS = tuple(inspect.signature(shifted).parameters)[1:]  # the names of all that can be changed


def _refuse(where: str, task: Any, asked: Iterable[str]) -> None:
    """Refuses shifts that a task does not support."""
    if isinstance(task, LinearRegression):
        return
    known = [f.name for f in dataclasses.fields(task)] if dataclasses.is_dataclass(task) else []
    can = [name for name in _OF_ANY if name in known]
    cannot = [name for name in asked if name not in can]
    if cannot:
        raise TypeError(
            f"{where}: {cannot[0]} cannot be changed of a {type(task).__name__}, which can change "
            f"{' and '.join(can) or 'nothing'}; a LinearRegression can change all, and a task of "
            "your own can draw anything"
        )


def _moves(scale: ArrayLike) -> bool:
    """Whether a scale is anything but 1, also one that is traced."""
    return not checks.is_concrete(scale) or float(np.asarray(scale)) != 1.0
