"""Random variables drawn in a row: rows of five or fifteen do not fill the vectors of a CPU."""

import math
from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from elsa.base import arithmetic, lanes, words

Law = Callable[[Array, tuple[int, ...]], Array]  # of key and shape, as `jax.random.normal`


def normal(key: Array, shape: tuple[int, ...], *, since: int = 2) -> Float[Array, "*shape"]:
    """`jax.random.normal(key, shape)` to the bit, drawn as `in_a_row`.

    Args:
      key, shape: as of `jax.random.normal`.
      since: the version of `base.arithmetic` from which on its caller has it so.
    """
    return in_a_row(jax.random.normal, key, shape, since=since)


def in_a_row(law: Law, key: Array, shape: tuple[int, ...], *, since: int) -> Array:
    """`law(key, shape)` to the bit, its words by `base.words`.

    The numbers of a shape are those of its length in a row, for each of jax's generators; kept
    apart from what reads them, or XLA would draw them in its shape after all, or once for each
    reader. A run that was begun when they were is left as it was: what reads them may round
    otherwise where it is compiled apart.

    Args:
      law: of jax.random.
      key, shape: its arguments.
      since: the version of `base.arithmetic` from which on its caller has it so.
    """
    if arithmetic.version() < since:
        return law(key, shape)
    size = math.prod(shape)
    return lanes.apart(law(words.quick(key, size), (size,))).reshape(shape)
