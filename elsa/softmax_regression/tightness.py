"""How much of a Lipschitz constant is used: ratios of sampled pairs."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from elsa.base.jit import jitted
from elsa.softmax_regression import formulas
from elsa.softmax_regression.formulas import Data

CLOSE = 1e-4  # distance of the close pairs, as a share of the radius
ROUNDING = 16 * np.finfo(np.float64).eps  # of a value, relative: taken off differences


def ratios(
    where: str, key: PRNGKeyArray, data: Data, kind: str, radius: float, of: str, pairs: int
) -> Float[np.ndarray, " pairs"]:
    """|q(x) - q(x')| / |x - x'|, less rounding, for pairs in the ball; the data are float64.

    Raises:
      ValueError: for a rescaled loss that overflows in the ball.
    """
    shape = (() if data.a1 is None else data.a1.shape[1:]) + data.a2.shape[1:]
    with jax.enable_x64(True):  # the constants are float64, too
        points = radius * _pairs(key, shape=shape, pairs=pairs)
        values = np.asarray(_values(points, data, kind=kind, of=of))
        places = np.asarray(points)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{where}: the {kind} loss overflows float64 in the ball |x| <= {radius:g}; choose a "
            "smaller radius or smaller labels"
        )
    rounding = ROUNDING * np.maximum(_length(values[0]), _length(values[1]))
    moved = np.maximum(_length(values[0] - values[1]) - rounding, 0.0)
    ratios: np.ndarray = moved / _length(places[0] - places[1])
    return ratios


@jitted("shape", "pairs")
def _pairs(
    key: PRNGKeyArray, *, shape: tuple[int, ...], pairs: int
) -> Float[Array, "2 pairs *weights"]:
    """Pairs in the unit ball; the first half is close, inside a ball that leaves them room."""
    directions_key, lengths_key = jax.random.split(key)
    directions = jax.random.normal(directions_key, (2, pairs, *shape))
    axes, one = tuple(range(2, 2 + len(shape))), (1,) * len(shape)
    directions /= jnp.sqrt(jnp.sum(directions**2, axis=axes, keepdims=True))
    lengths = 1 - jax.random.uniform(lengths_key, (2, pairs, *one))  # never 0
    first, second = (1 - CLOSE) * lengths[0] * directions[0], lengths[1] * directions[1]
    close = (jnp.arange(pairs) < pairs // 2).reshape(-1, *one)
    return jnp.stack([first, jnp.where(close, first + CLOSE * second, second)])


@jitted("kind", "of")
def _values(points: Array, data: Data, *, kind: str, of: str) -> Array:
    """The softmax map, the loss or its gradient at every point, [2, pairs, ...]."""

    def value(x: Array) -> Array:
        if of == "softmax":
            return formulas.probabilities(x, data)
        return {"loss": formulas.loss, "gradient": formulas.gradient}[of](x, data, kind)

    return jax.vmap(jax.vmap(value))(points)


def _length(batch: np.ndarray) -> np.ndarray:
    rows = batch.reshape(len(batch), -1)
    size = np.abs(rows).max(axis=1, keepdims=True)
    size = np.where(size > 0, size, 1.0)  # squares may overflow
    lengths: np.ndarray = size[:, 0] * np.sqrt(((rows / size) ** 2).sum(axis=1))
    return lengths
