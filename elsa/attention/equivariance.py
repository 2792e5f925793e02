"""Layers without biases treat all rows alike: they commute with orthogonal maps of the rows."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.base.arrays import Rows
from elsa.base.precision import exact


@exact
def equivariance_error(
    run: Callable[[Array], Array],
    h: Real[ArrayLike, "n m"] | Rows,
    rotation: Real[ArrayLike, "n n"] | Rows,
) -> float:
    """max |f(U H) - U f(H)| over the largest entry of f(H): how far f is from treating rows alike.

        (U H Wq) (U H Wk)^T (U H Wv) = U (H Wq) (H Wk)^T (H Wv)    for U^T U = I

    so that it is rounding for every stack of LSA layers, of any depth, heads and tying: such a
    stack is odd in the whole prompt, its output in a row is odd in the sign of that row and even in
    that of all others, and it cannot tell rows apart by their place. With biases it is not 0.

    Args:
      run: f, from a prompt [n, m] to one of n rows, as an `elsa.nn.Stack`.
      h: H.
      rotation: U, orthogonal.

    Raises:
      ValueError: for shapes that do not fit, a U that is not orthogonal, NaN or infinity.
      TypeError: for a `run` that is no function.
    """
    where = "equivariance_error"
    checks.instance(where, Callable, "a function of a prompt", run=run)
    checks.shapes(where, h=(h, "n m"), rotation=(rotation, "n n"))
    checks.finite(where, h=h, rotation=rotation)
    prompt = jnp.asarray(h, jnp.result_type(jnp.asarray(h), 0.0))  # integers as floats
    turn = jnp.asarray(rotation, prompt.dtype)
    tolerance = 64.0 * len(prompt) * float(jnp.finfo(prompt.dtype).eps)
    if float(jnp.abs(turn @ turn.T - jnp.eye(len(turn), dtype=turn.dtype)).max()) > tolerance:
        raise ValueError(f"{where}: rotation must be orthogonal, U U^T = I, got another matrix")
    straight = run(prompt)
    checks.real(where, **{"the result of run": straight})
    checks.finite(where, **{"the result of run on h": straight})
    if straight.shape[:1] != prompt.shape[:1]:
        raise ValueError(
            f"{where}: run must return the prompt's {len(prompt)} rows, got {straight.shape}"
        )
    turned = run(turn @ prompt)
    scale = float(jnp.abs(straight).max())
    error = float(jnp.abs(turned - turn @ straight).max())
    return error / scale if scale > 0.0 else error
