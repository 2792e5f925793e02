"""Trajectories of gradient descent with one step size, to be looked at step by step."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs


@exact
def gradient_path(
    x: Float[ArrayLike, " d"],
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
    *,
    step_size: float,
    steps: int,
) -> Float[Array, "steps+1 d"]:
    """x_0 .. x_T of x <- x - eta gradient, from x_0 = x.

    Args:
      x: where to start, [d].
      a, b, kind: as for `loss`.
      step_size: eta.
      steps: T.

    Raises:
      ValueError, TypeError: as `loss`, the overflow apart, for a step size that is not finite and
        above 0, or steps that are no integer of at least 1.
    """
    where = "gradient_path"
    data, labels, start = inputs.single(where, kind, a=a, b=b, x=x)
    _check(where, step_size, steps)
    one = jnp.ones((1, 1), start.dtype)  # one query of one channel: X is x^T
    return _path(start[None], one, data, labels[None], step_size, kind=kind, steps=steps)[:, 0]


@exact
def matrix_gradient_path(
    x: Float[ArrayLike, "d1 d2"],
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
    *,
    step_size: float,
    steps: int,
) -> Float[Array, "steps+1 d1 d2"]:
    """X_0 .. X_T of X <- X - eta gradient, from X_0 = X.

    Raises:
      ValueError, TypeError: as `gradient_path`.
    """
    where = "matrix_gradient_path"
    left, right, labels, start = inputs.matrix(where, kind, a1=a1, a2=a2, b=b, x=x)
    _check(where, step_size, steps)
    return _path(start, left, right, labels, step_size, kind=kind, steps=steps)


def _check(where: str, step_size: float, steps: int) -> None:
    checks.shapes(where, step_size=(step_size, ""))
    checks.positive(where, step_size=step_size)
    checks.integer(where, steps=(steps, 1))


@functools.partial(jax.jit, static_argnames=("kind", "steps"))
def _path(
    x: Array, a1: Array, a2: Array, b: Array, step_size: Array, *, kind: str, steps: int
) -> Array:
    def step(x: Array, _: None) -> tuple[Array, Array]:
        after = x - step_size * formulas.matrix_gradient(x, a1, a2, b, kind=kind)
        return after, after

    _, path = jax.lax.scan(step, x, length=steps)
    return jnp.concatenate([x[None], path])
