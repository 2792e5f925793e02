"""Newton's method with conjugate gradients: scipy's trust-ncg on the closed-form products.

Why scipy's `trust-ncg`: by its documentation it needs the Hessian as a product with a vector only,
for problems of large scale, and its trust region takes negative curvature, which these losses have,
as a way down; `Newton-CG`, scipy's line-search variant, stops its inner loop there. optax has none.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from scipy.sparse import linalg

from elsa.softmax_regression.descent import Objective, Run

_ROUNDINGS = 8  # of a loss, by which it may seem to rise in a step to its minimum


def newton_cg(
    objective: Objective, x: jax.Array, data: tuple[Any, ...], tolerance: float, limit: int
) -> Run:
    """Trust-region Newton steps until the gradient's norm is at most the tolerance.

    scipy works in float64 on the host; what it asks for is computed in the dtype of x. It sees the
    loss over its scale, as its inner tolerance, min(1/2, sqrt |gradient|), wants gradients of
    order 1; and a first radius over which no logit moves by more than 1.
    """
    scale, reach = float(objective.scale(x, *data)) or 1.0, float(objective.reach(x, *data))
    losses, norms = [], []
    known: dict[bytes, tuple[float, np.ndarray]] = {}

    def place(flat: np.ndarray) -> jax.Array:
        return jnp.asarray(flat, x.dtype).reshape(x.shape)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = objective.evaluate(place(flat), *data)
        loss = float(at[0]) / scale
        gradient = np.asarray(at[1], np.float64).ravel() / scale
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):  # an overflow: too far
            loss, gradient = np.inf, np.zeros_like(gradient)
        known[flat.tobytes()] = loss, gradient
        return loss, gradient

    def product(flat: np.ndarray, along: np.ndarray) -> np.ndarray:
        made = objective.product(place(flat), place(along), *data)
        return np.asarray(made, np.float64).ravel() / scale

    def record(flat: np.ndarray) -> None:
        here = known[flat.tobytes()]
        known.clear()
        known[flat.tobytes()] = here
        losses.append(here[0] * scale)
        norms.append(float(np.linalg.norm(here[1])) * scale)

    start = np.asarray(x, np.float64).ravel()
    value(start)
    record(start)
    if norms[0] <= tolerance:
        return Run(x, 0, np.array(losses), np.array(norms), False)
    result: Any = optimize.minimize(
        value,
        start,
        jac=True,
        hessp=product,
        method="trust-ncg",
        callback=record,
        options={
            "gtol": np.nextafter(tolerance / scale, np.inf),
            "maxiter": limit,
            "initial_trust_radius": reach,
            "max_trust_radius": 1000.0 * reach,
        },
    )
    flat, stuck = result.x, result.status not in (0, 1)
    if stuck:
        rounding = _ROUNDINGS * float(jnp.finfo(x.dtype).eps)
        left = limit - len(losses) + 1
        flat = _finished(value, product, flat, tolerance / scale, left, rounding, record)
        stuck = norms[-1] > tolerance
    return Run(place(flat), len(losses) - 1, np.array(losses), np.array(norms), stuck)


def _finished(
    value: Callable[[np.ndarray], tuple[float, np.ndarray]],
    product: Callable[[np.ndarray, np.ndarray], np.ndarray],
    flat: np.ndarray,
    tolerance: float,
    limit: int,
    rounding: float,
    record: Callable[[np.ndarray], None],
) -> np.ndarray:
    """Where the last Newton steps end, which the loss does not tell from no step.

    Near a minimum the loss changes by the square of a step, the gradient by the step itself: it
    still falls where what the loss gains is below its rounding. A step is taken if the gradient
    falls by half, and the loss rises by no more than its rounding.
    """
    loss, gradient = value(flat)
    for _ in range(limit):
        size = float(np.linalg.norm(gradient))
        if size <= tolerance:
            break
        hessian = linalg.LinearOperator(
            (flat.size, flat.size), matvec=lambda along, at=flat: product(at, along)
        )
        step, _ = linalg.cg(hessian, -gradient, rtol=0.1, maxiter=flat.size)
        then, slope = value(flat + step)
        if not np.linalg.norm(slope) <= size / 2 or then - loss > rounding * abs(loss):
            break
        flat, loss, gradient = flat + step, then, slope
        record(flat)
    return flat
