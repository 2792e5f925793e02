"""A stack's outputs against its reference."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base.arrays import AnyShape


def largest_error(
    out: Mapping[str, Array], expected: Mapping[str, AnyShape], updated: Sequence[Array]
) -> float:
    """max |out - ref| over the largest entry of the reference or of a block that was updated.

    Raises:
      ValueError: where a reference is not finite.
    """
    start, errors = max((float(jnp.abs(block).max()) for block in updated), default=0.0), []
    for name, value in expected.items():
        reference = jnp.asarray(value).reshape(out[name].shape)
        if not bool(jnp.isfinite(reference).all()):
            raise ValueError(f"verify: the reference for {name!r} is not finite")
        scale = max(float(jnp.abs(reference).max()), start)
        errors.append(float(jnp.abs(out[name] - reference).max()) / (scale or 1.0))
    return float(np.max(errors))  # NaN where any error is; max() would drop it
