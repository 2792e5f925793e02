"""Tasks as keys: what is computed of one is computed once, however often it is built."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class ByValue:
    """A task that equals another where its kind, sizes and numbers are the same.

    Whether jax computes in float64 belongs to it, as the prompts that a task draws depend on it.

        @functools.lru_cache(maxsize=8)
        def _risk(asked: ByValue, seed: int) -> float: ...
    """

    def __init__(self, task: Any):
        self.task = task
        leaves, structure = jax.tree.flatten(task)
        arrays = [np.asarray(leaf) for leaf in leaves]
        numbers = hashlib.sha256()
        for array in arrays:
            numbers.update(f"{array.dtype}{array.shape};".encode())
            numbers.update(array.tobytes())
        self._key = structure, numbers.digest(), jnp.result_type(float)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByValue) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)
