"""Normal variables drawn in a row: rows of five or fifteen do not fill the vectors of a CPU."""

import math

import jax
from jaxtyping import Array, Float

from elsa.base import arithmetic, lanes


def normal(key: Array, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """`jax.random.normal(key, shape)` to the bit.

    The numbers of a shape are those of its length in a row, for each of jax's generators; kept
    apart from what reads them, or XLA would draw them in its shape after all, at up to three times
    the cost. A run that was begun when they were is left as it was: what reads them may round
    otherwise where it is compiled apart.
    """
    if arithmetic.version() < 2:
        return jax.random.normal(key, shape)
    return lanes.apart(jax.random.normal(key, (math.prod(shape),))).reshape(shape)
