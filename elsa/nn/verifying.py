"""A stack's outputs against its reference, and what that says of weights that have changed."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.base.arrays import AnyShape

if TYPE_CHECKING:
    from elsa.nn.block_stack import BlockStack


def drawn(
    key: Array,
    blocks: Mapping[str, AnyShape],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype,
) -> dict[str, Any]:
    """The blocks given, and standard normal ones for the others.

    Raises:
      KeyError: for a block that is none of the shapes'.
    """
    checks.known_names("verify", "block", blocks, shapes)
    # a key for each name: which blocks are given does not change the others
    keys = {name: jax.random.fold_in(key, index) for index, name in enumerate(shapes)}
    missing = {name: shape for name, shape in shapes.items() if name not in blocks}
    return {**blocks, **{n: jax.random.normal(keys[n], s, dtype) for n, s in missing.items()}}


def without_reference(name: str) -> TypeError:
    """What `verify` raises for a stack that knows no other way to its outputs."""
    return TypeError(
        f"verify: {name} has nothing to be compared with: a file holds weights, not what they "
        "should compute; compare its outputs with your own"
    )


def warn_where_edited(stack: "BlockStack") -> None:
    """Says what the number means where the weights are not those that were built.

    Training keeps what a stack computes small on the blocks it sees alone; elsewhere a product of
    a few changed weights in every layer grows without bound with the depth.
    """
    if stack.is_as_built:
        return
    warnings.warn(
        f"verify: the weights of {stack.name} are no longer those that it was built with; "
        "print(stack) marks the heads. So the number is how far it is now from what it was built "
        "to compute, on blocks that no training saw, where it may be of any size: it does not say "
        "how well the stack was trained. For that, evaluate the loss that it was trained on, on "
        "fresh blocks. To check the weights as built, verify before they change, or build it anew",
        stacklevel=4,  # past verify and what gives it full precision
    )


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
