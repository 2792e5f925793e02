"""How far an estimate is from its reference, and how fast a sequence of errors falls."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Int, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Numbers, Rows


def relative_distance(
    estimate: Real[ArrayLike, " d"] | Numbers, reference: Real[ArrayLike, " d"] | Numbers
) -> Float[Array, ""]:
    """|estimate - reference| / |reference|, in the wider of the two dtypes.

    Raises:
      ValueError: for shapes that do not fit, or a concrete reference of norm 0.
    """
    checks.shapes("relative_distance", estimate=(estimate, "d"), reference=(reference, "d"))
    checks.finite("relative_distance", reference=reference)
    if checks.is_concrete(reference) and not np.any(np.asarray(reference)):
        raise ValueError("relative_distance: reference must not be zero, got norm 0")
    measured, wanted = jnp.asarray(estimate), jnp.asarray(reference)
    distance: Array = jnp.linalg.norm(measured - wanted) / jnp.linalg.norm(wanted)
    return distance


def rounding_floor(dtype: DTypeLike, condition_number: float) -> float:
    """eps kappa: the relative error that rounding leaves of a fixed point of gradient descent.

    Every step adds a rounding error of relative size eps; the steps after it shrink it by
    c = (kappa - 1)/(kappa + 1) each, so that eps / (1 - c) = eps (kappa + 1)/2 stays at most.

    Raises:
      ValueError: for a condition number below 1.
    """
    checks.at_least("rounding_floor", condition_number=(condition_number, 1.0))
    return float(jnp.finfo(checks.floating("rounding_floor", dtype)).eps) * condition_number


def fit_window(
    errors: Real[ArrayLike, "*tasks t"] | Numbers | Rows,
    exact: Real[ArrayLike, "*tasks t"] | Numbers | Rows,
    *,
    decay: float,
    floor: float,
) -> tuple[Int[np.ndarray, "*tasks"], Int[np.ndarray, "*tasks"]]:
    """The steps between the transient and the rounding floor, first and stop of a range.

    The transient ends where the closed form's own decay, log(exact_t / exact_{t+1}), first comes
    within 0.1% of its limit: from there on the faster modes hold too little of the error to matter
    (the decay falls monotonically, because exact_t^2 is a sum of exponentials). The range stops
    where the measured error first is below 10 times the floor.

    Args:
      errors: measured, at steps 0, 1, 2, ...
      exact: the closed form of the same steps.
      decay: the limit, a step.
      floor: what rounding leaves of the error, as `rounding_floor` gives it.

    Returns:
      first and stop; first is the length of the curves where the transient does not end.

    Raises:
      ValueError: for shapes that differ, or a decay or floor that is not finite and above 0.
    """
    measured, known = _curve("fit_window", "errors", errors), _curve("fit_window", "exact", exact)
    checks.same_shape("fit_window", "errors", measured.shape, "exact", known.shape)
    checks.positive("fit_window", decay=decay, floor=floor)
    length = measured.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        local = -np.diff(np.log(known), axis=-1)
    settled = np.abs(local / decay - 1.0) <= 1e-3
    first = np.where(settled.any(axis=-1), settled.argmax(axis=-1), length)
    low = measured < 10.0 * floor
    stop = np.where(low.any(axis=-1), low.argmax(axis=-1), length)
    return first, stop


def fitted_decay(
    errors: Real[ArrayLike, "*tasks t"] | Numbers | Rows,
    first: Int[ArrayLike, "*tasks"],
    stop: Int[ArrayLike, "*tasks"],
) -> Float[np.ndarray, "*tasks"]:
    """-log(error_{t+1} / error_t) over the steps first <= t < stop: minus the least-squares slope
    of log error_t against t. NaN where these are fewer than 10 steps.

    Raises:
      ValueError: for shapes that do not fit, or an error in the range that is not above 0.
    """
    measured = _curve("fitted_decay", "errors", errors)
    checks.finite("fitted_decay", first=first, stop=stop)
    for name, bound in {"first": first, "stop": stop}.items():
        if np.any(np.asarray(bound) != np.rint(bound)):
            raise ValueError(f"fitted_decay: {name} must hold integers, got {bound!r}")
    begin, end = np.asarray(first)[..., None], np.asarray(stop)[..., None]
    checks.same_shape("fitted_decay", "errors", measured.shape[:-1], "first", begin.shape[:-1])
    checks.same_shape("fitted_decay", "errors", measured.shape[:-1], "stop", end.shape[:-1])
    steps = np.arange(measured.shape[-1])
    inside = (steps >= begin) & (steps < end)
    if not np.all(measured[inside] > 0):
        raise ValueError(
            f"fitted_decay: errors must be above 0 in the range, got {measured[inside].min()}"
        )
    count = inside.sum(axis=-1)
    share = inside / np.maximum(count, 1)[..., None]
    times = np.where(inside, steps - (share * steps).sum(axis=-1, keepdims=True), 0.0)
    heights = np.log(np.where(inside, measured, 1.0))
    squares = (times**2).sum(axis=-1)
    slope = (times * heights).sum(axis=-1) / np.where(count >= 2, squares, 1.0)
    return np.where(count >= 10, -slope, np.nan)


def log_spaced(last: int, points: int, also: tuple[int, ...] = ()) -> Int[np.ndarray, " depths"]:
    """Whole numbers from 0 to `last`, about evenly spaced in logarithm, at most `points`.

    Args:
      last: the largest, always there, as 0 is.
      points: how many at most.
      also: numbers that must be among them; those above `last` are left out.

    Raises:
      TypeError, ValueError: for numbers that are not integers or too few points for `also`.
    """
    checks.size("log_spaced", last=(last, 0), points=(points, 2))
    checks.instance("log_spaced", tuple | list, "a tuple of integers", also=also)
    for number in also:
        checks.integer("log_spaced", also=(number, 0))
    fixed = {0, last, *(number for number in also if number <= last)}
    if len(fixed) > points:
        raise ValueError(f"log_spaced: points must be at least {len(fixed)}, got {points}")
    spaced = np.geomspace(1, max(last, 1), points - len(fixed))
    return np.array(sorted(fixed | {min(int(number), last) for number in np.rint(spaced)}))


def _curve(where: str, name: str, values: AnyShape) -> np.ndarray:
    """Errors along the last axis, at least one; NaN and infinity are those of a divergence."""
    checks.real(where, **{name: values})
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim == 0 or curve.shape[-1] == 0 or np.any(curve < 0):
        raise ValueError(
            f"{where}: {name} must be curves of at least one error, none below 0, got shape "
            f"{curve.shape}"
        )
    return curve
