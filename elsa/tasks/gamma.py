"""Gamma and chi-square variables, all lanes of an array at once."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import arithmetic
from elsa.base.jit import jitted
from elsa.tasks import draws

_SINCE = 4  # version of the arithmetic


def gamma(
    key: Array, shape: Real[ArrayLike, "..."], size: tuple[int, ...]
) -> Float[Array, "*size"]:
    """Independent Gamma variables of scale 1, exact for every shape above 0.

    Marsaglia and Tsang's rejection (ACM Transactions on Mathematical Software 26, 2000): for a
    shape a >= 1, m = a - 1/3 and t = z / sqrt(9 m), the proposal m (1 + t)^3 is accepted with
    probability exp(r), here written in the deviation t,

        r = m (3 (log(1 + t) - t + t^2/2) - t^3) = -3/4 m t^4 + O(m t^5),

    so that no large numbers cancel: float32 serves shapes of 1e6 and above. More than 95 in 100
    proposals are accepted; the loop goes on until every lane has one. A shape below 1 uses
    Gamma(a) = Gamma(a + 1) U^(1/a).

    jax.random.gamma draws lane by lane, which a CPU does one after the other.

    Args:
      shape: above 0, of a shape that broadcasts to `size`; may be a tracer.
      size: of the result.
    """
    return _gamma(key, shape, size, arithmetic.version())


@jitted("size", "version")  # else each call compiles its loop anew
def _gamma(
    key: Array, shape: Real[ArrayLike, "..."], size: tuple[int, ...], version: int
) -> Float[Array, "*size"]:
    with arithmetic.as_of(version):
        return _drawn(key, shape, size)


def _drawn(key: Array, shape: Real[ArrayLike, "..."], size: tuple[int, ...]) -> Array:
    wanted = jnp.broadcast_to(jnp.asarray(shape, dtype=jnp.result_type(float)), size).reshape(-1)
    boost_key, loop_key = jax.random.split(key)
    small = wanted < 1.0
    middle = jnp.where(small, wanted + 1.0, wanted) - 1.0 / 3.0

    def rejected(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(~state[1])

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        accepted_t, accepted, trial = state
        z_key, u_key = jax.random.split(jax.random.fold_in(loop_key, trial))
        t = draws.normal(z_key, wanted.shape, since=_SINCE) / jnp.sqrt(9.0 * middle)
        inside = t > -1.0
        accept = inside & (-_exponential(u_key, wanted.shape) < _log_ratio(middle, t))
        return jnp.where(accepted, accepted_t, t), accepted | accept, trial + 1

    start = (jnp.zeros_like(wanted), jnp.zeros_like(wanted, bool), jnp.zeros((), int))
    deviation, _, _ = jax.lax.while_loop(rejected, propose, start)
    value = middle * (1.0 + deviation) ** 3
    power = -_exponential(boost_key, wanted.shape) / jnp.where(small, wanted, 1.0)
    return jnp.where(small, value * jnp.exp(power), value).reshape(size)


def _exponential(key: Array, shape: tuple[int, ...]) -> Array:
    return draws.in_a_row(jax.random.exponential, key, shape, since=_SINCE)


def chi_square(
    key: Array, degrees: Real[ArrayLike, "..."], size: tuple[int, ...]
) -> Float[Array, "*size"]:
    """Independent chi-square variables; 0 where there are no degrees of freedom."""
    count = jnp.asarray(degrees, dtype=jnp.result_type(float))
    drawn = 2.0 * gamma(key, jnp.maximum(count, 1.0) / 2.0, size)
    return jnp.where(jnp.broadcast_to(count, size) > 0.0, drawn, 0.0)


_SERIES = np.array([3.0 * (-1.0) ** (k + 1) / k for k in range(4, 16)])  # of r/m, from t^4 on


def _log_ratio(middle: Array, t: Array) -> Array:
    """r above: its series where |t| < 1/8, the formula elsewhere, where nothing cancels."""
    near = jnp.abs(t) < 0.125
    small = jnp.where(near, t, 0.0)
    series = small**4 * jnp.polyval(jnp.asarray(_SERIES[::-1], dtype=t.dtype), small)
    large = jnp.where(near | (t <= -1.0), 1.0, t)
    exact = 3.0 * (jnp.log1p(large) - large + large**2 / 2.0) - large**3
    return middle * jnp.where(near, series, exact)
