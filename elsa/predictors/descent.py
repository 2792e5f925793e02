"""Predictions for the query after a few steps of gradient descent on the context."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import NumberBlock, Numbers, Rows
from elsa.base.precision import exact
from elsa.predictors import problem
from elsa.tasks import Prompt


@exact
def gradient_descent(
    prompt: Prompt,
    steps: int,
    step_size: Real[ArrayLike, "*steps"] | Numbers | Rows,
    lam: NumberBlock = 0.0,
    init: Real[ArrayLike, " d"] | Numbers | None = None,
) -> Float[Array, " batch"]:
    """query_x . w_k after k steps w <- w - eta (X^T (X w - y) + lam w), for a batch of prompts.

    In O(k n d) a prompt where n < d, O((n + k) d^2) otherwise. There is no 1/n in the step.

    Args:
      prompt: its query_y is not used.
      steps: k, from 0.
      step_size: eta, a number, or one for each step, [k].
      lam: the regulariser, a number.
      init: w_0, [d]; zero by default.

    Raises:
      ValueError: for shapes that do not fit, an empty context, NaN or infinity, k < 0 or lam < 0.
        Values are checked on concrete arrays only.
      TypeError: for a k that is not an integer.
    """
    where = "gradient_descent"
    task = problem.read(where, prompt)
    batch, n, dim = task.x.shape
    checks.size(where, steps=(steps, 0))
    checks.finite(where, step_size=step_size)
    checks.entry(where, lam=lam)
    if checks.is_concrete(lam):
        checks.at_least(where, lam=(np.asarray(lam).item(), 0.0))
    if np.shape(step_size) not in ((), (steps,)):
        raise ValueError(
            f"{where}: step_size must be a number or have shape (steps={steps},), "
            f"got {np.shape(step_size)}"
        )
    start = jnp.zeros((batch, dim), task.x.dtype)
    if init is not None:
        problem.vector(where, "init", init, dim)
        start = jnp.broadcast_to(task.cast(init), (batch, dim))

    ridge, target = jnp.reshape(task.cast(lam), ()), task.correlation
    gram = jnp.einsum("bni,bnj->bij", task.x, task.x) if n >= dim else None

    def step(w: Array, eta: Array) -> tuple[Array, None]:
        forward = _gram_times(task, w) if gram is None else jnp.einsum("bij,bj->bi", gram, w)
        return w - eta * (forward - target + ridge * w), None

    etas = jnp.broadcast_to(task.cast(step_size), (steps,))
    return task.predict(jax.lax.scan(step, start, etas)[0])


@exact
def polynomial_step(
    prompt: Prompt, coefficients: Real[ArrayLike, " terms"] | Numbers
) -> Float[Array, " batch"]:
    """query_x . p(G) X^T y with p(G) = c_0 I + c_1 G + .. and G = X^T X, by Horner's rule.

    After k steps from zero, every method that only multiplies by G predicts in this form, of degree
    k - 1; the best coefficients are `theory.multi_step_optimum`'s.

    Args:
      prompt: its query_y is not used.
      coefficients: c, from the constant up.

    Raises:
      ValueError: for shapes that do not fit, no coefficient, an empty context, NaN or infinity.
    """
    task = problem.read("polynomial_step", prompt)
    checks.finite("polynomial_step", coefficients=coefficients)
    if np.ndim(coefficients) != 1 or np.size(coefficients) == 0:
        raise ValueError(
            "polynomial_step: coefficients must have shape (degree + 1,), "
            f"got {np.shape(coefficients)}"
        )
    falling, target = task.cast(coefficients)[::-1], task.correlation

    def horner(w: Array, coefficient: Array) -> tuple[Array, None]:
        return _gram_times(task, w) + coefficient * target, None

    return task.predict(jax.lax.scan(horner, falling[0] * target, falling[1:])[0])


def _gram_times(task: problem.Problem, w: Array) -> Array:
    return jnp.einsum("bnd,bn->bd", task.x, jnp.einsum("bnd,bd->bn", task.x, w))
