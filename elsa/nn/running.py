"""Running a stack in one compiled program, and which parts of the prompts are kept on the way."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from elsa.base import checks
from elsa.base.jit import jitted
from elsa.nn.stack import Observer, Stack
from elsa.prompts.layout import BlockLayout


@dataclasses.dataclass(frozen=True)
class ReadBlocks:
    """An observer that keeps some blocks of every prompt; equal ones share one compiled program."""

    layout: BlockLayout
    names: tuple[str, ...]

    def __call__(self, h: Array) -> dict[str, Array]:
        return self.layout.unpack(h, self.names)


def whole_prompt(h: Array) -> Array:
    """An observer that keeps every prompt."""
    return h


def padded(h: Array | np.ndarray, shape: tuple[int, int], dtype: np.dtype) -> Array:
    """A prompt in the dtype, zeros appended to that shape.

    Raises:
      TypeError: for anything but real numbers. ValueError: for no matrix, or one too large.
    """
    checks.shapes("padded", h=(h, "n m"))
    n, m = np.shape(h)
    if n > shape[0] or m > shape[1]:
        raise ValueError(f"padded: h must have at most the shape {shape}, got {np.shape(h)}")
    cast = jnp.asarray(h, dtype)
    return cast if (n, m) == shape else jnp.pad(cast, ((0, shape[0] - n), (0, shape[1] - m)))


def run(stack: Stack, h: Array | np.ndarray, observe: Observer | None, *, ended: bool) -> Any:
    """The stack on one prompt, compiled once for each shape, depth and observer.

    Raises:
      TypeError: for anything but real numbers. ValueError: for anything but a matrix.
    """
    checks.shapes("run", h=(h, "n m"))
    graph, state = nnx.split(stack)
    return run_stack(graph, state, h if isinstance(h, Array) else jnp.asarray(h), observe, ended)


@jitted("graph", "observe", "ended")
def run_stack(graph: Any, state: Any, h: Array, observe: Observer | None, ended: bool) -> Any:
    """The stack that graph and state make, on a prompt; `observe` sees it as it is or ended."""
    stack = nnx.merge(graph, state)
    if ended and observe is not None:
        return stack(h, observe=lambda prompt: observe(stack.ended(prompt)))
    return stack(h, observe=observe)
