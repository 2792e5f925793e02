"""How much of a Lipschitz constant is used: ratios of sampled pairs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from elsa.base import checks
from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs
from elsa.softmax_regression.bounds import OF

CLOSE = 1e-4  # distance of the close pairs, as a share of the radius
ROUNDING = 16 * np.finfo(np.float64).eps  # of a value, relative: taken off differences


@exact
def sampled_ratios(
    key: PRNGKeyArray,
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
    *,
    radius: float,
    of: str = "gradient",
    pairs: int = 10_000,
) -> Float[np.ndarray, " pairs"]:
    """|q(x) - q(x')| / |x - x'| for pairs in the ball |x| <= radius; none may exceed `lipschitz`.

    Of x the direction is uniform and the length, too, in (0, radius]. Half of the pairs are close,
    at a distance of up to 1e-4 of the radius in a direction of their own, and see the largest local
    slope; half are independent. Computed in float64 whatever the data's dtype, and less what the
    rounding of q, 16 units of its size, may have added to |q(x) - q(x')|.

    Args:
      key: of the draws.
      a, b, kind, of: as for `lipschitz`.
      radius: of the ball, above 0.
      pairs: how many.

    Raises:
      ValueError, TypeError: as `lipschitz`, for a radius that is not above 0, pairs below 1, or a
        rescaled loss that overflows in the ball.
    """
    where = "sampled_ratios"
    inputs.concrete(where, a=a, b=b)
    inputs.single(where, kind, a=a, b=b)
    _check(where, radius, of, pairs)
    one = np.ones((1, 1))  # one query of one channel: X is x^T
    return _ratios(where, key, one, a, np.asarray(b)[None], kind, radius, of, pairs)


@exact
def matrix_sampled_ratios(
    key: PRNGKeyArray,
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
    *,
    radius: float,
    of: str = "gradient",
    pairs: int = 10_000,
) -> Float[np.ndarray, " pairs"]:
    """The same in matrix form, in Frobenius norms; none may exceed `matrix_lipschitz`.

    Raises:
      ValueError, TypeError: as `sampled_ratios`.
    """
    where = "matrix_sampled_ratios"
    inputs.concrete(where, a1=a1, a2=a2, b=b)
    inputs.matrix(where, kind, a1=a1, a2=a2, b=b)
    _check(where, radius, of, pairs)
    return _ratios(where, key, a1, a2, b, kind, radius, of, pairs)


def _check(where: str, radius: float, of: str, pairs: int) -> None:
    checks.one_of(where, "of", of, OF)
    checks.positive(where, radius=radius)
    checks.integer(where, pairs=(pairs, 1))


def _ratios(
    where: str,
    key: PRNGKeyArray,
    a1: ArrayLike,
    a2: ArrayLike,
    b: ArrayLike,
    kind: str,
    radius: float,
    of: str,
    pairs: int,
) -> Float[np.ndarray, " pairs"]:
    left, right, labels = (np.asarray(array, np.float64) for array in (a1, a2, b))
    with jax.enable_x64(True):  # the constants are float64, too
        points = radius * _pairs(key, shape=(left.shape[1], right.shape[1]), pairs=pairs)
        values = np.asarray(_values(points, left, right, labels, kind=kind, of=of))
        places = np.asarray(points)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{where}: the {kind} loss overflows float64 in the ball |x| <= {radius:g}; choose a "
            "smaller radius or smaller labels"
        )
    rounding = ROUNDING * np.maximum(_length(values[0]), _length(values[1]))
    moved = np.maximum(_length(values[0] - values[1]) - rounding, 0.0)
    return moved / _length(places[0] - places[1])


@functools.partial(jax.jit, static_argnames=("shape", "pairs"))
def _pairs(
    key: PRNGKeyArray, *, shape: tuple[int, int], pairs: int
) -> Float[Array, "2 pairs d1 d2"]:
    """Pairs in the unit ball; the first half is close, inside a ball that leaves them room."""
    directions_key, lengths_key = jax.random.split(key)
    directions = jax.random.normal(directions_key, (2, pairs, *shape))
    directions /= jnp.sqrt(jnp.sum(directions**2, axis=(2, 3), keepdims=True))
    lengths = 1 - jax.random.uniform(lengths_key, (2, pairs, 1, 1))  # never 0
    first, second = (1 - CLOSE) * lengths[0] * directions[0], lengths[1] * directions[1]
    close = (jnp.arange(pairs) < pairs // 2).reshape(-1, 1, 1)
    return jnp.stack([first, jnp.where(close, first + CLOSE * second, second)])


@functools.partial(jax.jit, static_argnames=("kind", "of"))
def _values(points: Array, a1: Array, a2: Array, b: Array, *, kind: str, of: str) -> Array:
    """The softmax map, the loss or its gradient at every point, [2, pairs, ...]."""

    def value(x: Array) -> Array:
        if of == "softmax":
            return jax.nn.softmax(a1 @ x @ a2.T, axis=1)
        function = {"loss": formulas.matrix_loss, "gradient": formulas.matrix_gradient}[of]
        return function(x, a1, a2, b, kind)

    return jax.vmap(jax.vmap(value))(points)


def _length(batch: np.ndarray) -> np.ndarray:
    rows = batch.reshape(len(batch), -1)
    size = np.abs(rows).max(axis=1, keepdims=True)
    size = np.where(size > 0, size, 1.0)  # squares may overflow
    return size[:, 0] * np.sqrt(((rows / size) ** 2).sum(axis=1))
