"""The parts of a prompt that every predictor reads, checked and in one dtype."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.tasks import Prompt


class Problem(NamedTuple):
    """Context and query without the query's label."""

    x: Float[Array, "batch n d"]
    y: Float[Array, "batch n"]
    query_x: Float[Array, "batch d"]

    @property
    def correlation(self) -> Float[Array, "batch d"]:
        """X^T y of each task."""
        return jnp.einsum("bnd,bn->bd", self.x, self.y)

    def predict(self, w: Float[Array, "batch d"]) -> Float[Array, " batch"]:
        """x . w of each task."""
        return jnp.sum(self.query_x * w, axis=-1)

    def cast(self, array: AnyShape) -> Array:
        """An argument in the prompt's dtype."""
        return jnp.asarray(array, self.x.dtype)


def read(where: str, prompt: Prompt) -> Problem:
    """The prompt's context and query; its label is not used.

    Raises:
      ValueError: for shapes that do not fit, an empty context, NaN or infinity.
    """
    checks.instance(where, Prompt, "a tasks.Prompt", prompt=prompt)
    arrays = {"x": prompt.x, "y": prompt.y, "query_x": prompt.query_x}
    axes = {"x": "batch n d", "y": "batch n", "query_x": "batch d"}
    sizes = checks.shapes(where, **{name: (a, axes[name]) for name, a in arrays.items()})
    checks.size(where, n=(sizes["n"], 1), d=(sizes["d"], 1))
    checks.finite(where, **arrays)
    taken = [a if hasattr(a, "dtype") else np.asarray(a) for a in arrays.values()]
    dtype = jnp.result_type(*taken, jnp.float32)
    return Problem(*(jnp.asarray(array, dtype) for array in taken))


def vector(where: str, name: str, array: AnyShape, size: int, axis: str = "d") -> None:
    """Refuses anything but a finite vector of the given length."""
    checks.finite(where, **{name: array})
    if np.shape(array) != (size,):
        raise ValueError(f"{where}: {name} must have shape ({axis}={size},), got {np.shape(array)}")


def matrix(where: str, name: str, array: AnyShape, size: int) -> None:
    """Refuses anything but a finite d x d matrix."""
    checks.finite(where, **{name: array})
    if np.shape(array) != (size, size):
        raise ValueError(
            f"{where}: {name} must have shape (d={size}, d={size}), got {np.shape(array)}"
        )
