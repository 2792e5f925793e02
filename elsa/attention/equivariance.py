"""Layers without biases treat all rows alike: they commute with orthogonal maps of the rows."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks, functions
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
      h: H, in the dtype that f computes in.
      rotation: U, orthogonal.

    Raises:
      ValueError: for shapes that do not fit, a U that is not orthogonal, NaN or infinity.
      TypeError: for a `run` that is no function, and for tracers.
    """
    where = "equivariance_error"
    functions.function_of_one(where, "a function of a prompt", run=run)
    checks.shapes(where, h=(h, "n m"), rotation=(rotation, "n n"))
    for name, array in {"h": h, "rotation": rotation}.items():
        checks.concrete(where, name, array)
    checks.finite(where, h=h, rotation=rotation)
    dtype = jnp.result_type(jnp.asarray(h), 0.0)  # integers as floats
    prompt, turn = (np.asarray(array, np.float64) for array in (h, rotation))
    unit = np.finfo(np.result_type(np.asarray(rotation).dtype, np.float32)).eps
    tolerance = 64.0 * len(prompt) * float(unit)
    is_small = np.abs(turn).max(initial=0.0) < 2.0  # else its square may overflow
    if not is_small or np.abs(turn @ turn.T - np.eye(len(turn))).max() > tolerance:
        raise ValueError(f"{where}: rotation must be orthogonal, U U^T = I, got another matrix")
    straight = run(jnp.asarray(prompt, dtype))
    checks.real(where, **{"the result of run": straight})
    checks.finite(where, **{"the result of run on h": straight})
    turned = run(jnp.asarray(turn @ prompt, dtype))
    before, after = (np.asarray(found, np.float64) for found in (straight, turned))
    if before.shape[:1] != prompt.shape[:1]:
        raise ValueError(
            f"{where}: run must return the prompt's {len(prompt)} rows, got {before.shape}"
        )
    scale = float(np.abs(before).max())
    error = float(np.abs(after - np.tensordot(turn, before, 1)).max())
    return error / scale if scale > 0.0 else error
