"""Gradient descent and L-BFGS on an objective, in one compiled loop that keeps its history."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from elsa.base.arrays import Number
from elsa.base.jit import jitted


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A loss of x and data; the functions are jitted, and one object serves a kind of problem.

      evaluate: (x, *data), the loss and its gradient.
      product: (x, v, *data), the Hessian times v.
      step_size: (x, gradient, *data), 1 / L for an L that holds all along the step, which makes the
        loss decrease.
      scale: (x, *data), the largest norm that a gradient can have by the sizes of the data at x.
    reach: (x, *data), a distance over which no logit moves by more than 1.
    """

    evaluate: Callable[..., tuple[Array, Array]]
    product: Callable[..., Array]
    step_size: Callable[..., Array]
    scale: Callable[..., Array]
    reach: Callable[..., Array]


class Run(NamedTuple):
    """Where a loop ended.

    x: the last iterate.
    iterations: how many were made.
    losses, norms: of the iterates, [limit + 1], used up to index `iterations`.
    stuck: whether the last step changed nothing.
    """

    x: Array
    iterations: Array | int
    losses: Float[Array | np.ndarray, " iterates"]
    norms: Float[Array | np.ndarray, " iterates"]
    stuck: Array | bool


_compiled = jitted("objective", "limit")


@_compiled
def gradient_descent(
    objective: Objective, x: Array, data: tuple[Any, ...], tolerance: Number, limit: int
) -> Run:
    """x <- x - gradient / L until the gradient's norm is at most the tolerance."""

    def step(x: Array, loss: Array, gradient: Array, state: None) -> tuple[Array, None]:
        return x - objective.step_size(x, gradient, *data) * gradient, state

    def measured(x: Array, state: None) -> tuple[Array, Array]:
        return objective.evaluate(x, *data)

    return _loop(step, measured, x, None, tolerance, limit)


@_compiled
def lbfgs(
    objective: Objective, x: Array, data: tuple[Any, ...], tolerance: Number, limit: int
) -> Run:
    """optax's L-BFGS with its zoom line search, on the closed-form gradient."""
    value = _with_gradient(objective, data)
    optimizer = optax.lbfgs()

    def step(x: Array, loss: Array, gradient: Array, state: Any) -> tuple[Array, Any]:
        updates, state = optimizer.update(
            gradient, state, x, value=loss, grad=gradient, value_fn=value
        )
        return optax.apply_updates(x, updates), state

    known = optax.value_and_grad_from_state(value)  # what the line search has computed already

    def measured(x: Array, state: Any) -> tuple[Array, Array]:
        loss_and_gradient: tuple[Array, Array] = known(x, state=state)
        return loss_and_gradient

    return _loop(step, measured, x, optimizer.init(x), tolerance, limit)


def _with_gradient(objective: Objective, data: tuple[Any, ...]) -> Callable[[Array], Array]:
    """The loss of x, infinite where it overflows, with the closed-form gradient as derivative."""

    @jax.custom_vjp
    def value(x: Array) -> Array:
        return forward(x)[0]

    def forward(x: Array) -> tuple[Array, Array]:
        loss, gradient = objective.evaluate(x, *data)
        return jnp.where(jnp.isfinite(loss), loss, jnp.inf), gradient

    def backward(gradient: Array, cotangent: Array) -> tuple[Array]:
        return (cotangent * gradient,)

    value.defvjp(forward, backward)
    return value


def _loop(
    step: Callable[[Array, Array, Array, Any], tuple[Array, Any]],
    measured: Callable[[Array, Any], tuple[Array, Array]],
    x: Array,
    state: Any,
    tolerance: Number,
    limit: int,
) -> Run:
    """Steps until the gradient is small, x does not change any more, or the limit is reached."""

    def goes_on(carry: tuple[Any, ...]) -> Array:
        _, _, gradient, _, run = carry
        going: Array = (run.iterations < limit) & (norm(gradient) > tolerance) & ~run.stuck
        return going

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, loss, gradient, state, run = carry
        after, state = step(x, loss, gradient, state)
        loss, gradient = measured(after, state)
        count = run.iterations + 1
        losses, norms = run.losses.at[count].set(loss), run.norms.at[count].set(norm(gradient))
        return after, loss, gradient, state, Run(after, count, losses, norms, jnp.all(after == x))

    loss, gradient = measured(x, state)
    losses, norms = jnp.full(limit + 1, loss), jnp.full(limit + 1, norm(gradient))
    run = Run(x, jnp.zeros((), int), losses, norms, jnp.zeros((), bool))
    return jax.lax.while_loop(goes_on, advance, (x, loss, gradient, state, run))[-1]


def norm(array: Array) -> Array:
    """The Euclidean norm of all entries."""
    return jnp.sqrt(jnp.sum(array**2))
