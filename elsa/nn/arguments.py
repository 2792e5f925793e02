"""The blocks that a stack is called with: checked, and converted to matrices of its dtype."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from elsa.base import checks
from elsa.base.arrays import AnyShape


def refuse_unnamed(
    where: str, unnamed: Sequence[AnyShape], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuses blocks without their names, which a layout has no order for.

    Raises:
      TypeError: naming the blocks.
    """
    if unnamed:
        named = ", ".join(f"{name}=.." for name in shapes)
        raise TypeError(
            f"{where}: blocks must be given by name, as ({named}), got {len(unnamed)} without"
        )


def looked_at(
    where: str,
    blocks: Mapping[str, AnyShape],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype,
) -> dict[str, jax.Array | np.ndarray]:
    """The blocks as matrices, their names, shapes and values checked.

    Raises:
      KeyError: for an unknown block. TypeError: for one that does not hold real numbers.
      ValueError: for a missing one, a wrong shape, NaN, infinity, or numbers beyond the dtype.
    """
    checks.names(where, "block", blocks, shapes)
    checks.finite(where, **blocks)
    checks.in_range(where, dtype, **blocks)
    return {
        name: checks.column(where, name, blocks[name], checks.matrix_shape(shape))
        for name, shape in shapes.items()
    }


def converted(given: Mapping[str, jax.Array | np.ndarray], dtype: np.dtype) -> dict[str, jax.Array]:
    """Arrays of the dtype; those that are stay as they are, as jax takes 30 us to see it."""
    return {
        name: a if isinstance(a, jax.Array) and a.dtype == dtype else jnp.asarray(a, dtype)
        for name, a in given.items()
    }
