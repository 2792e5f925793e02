"""Constants where a step runs on its blocks: arrays, or the few numbers of structured ones."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from elsa.compiler.tracing.constants import Constant, Varied


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("entries", "left", "right"),
    meta_fields=("places", "shape"),
)
@dataclasses.dataclass(frozen=True, eq=False)
class Applied:
    """S + U V, S with `entries` at places that all variants share.

    entries: [variants, entries], or of one variant [entries]; left, right alike.
    places: rows and columns of the entries, by rows.
    shape: (rows, columns).
    """

    entries: jax.Array | np.ndarray
    left: jax.Array | np.ndarray
    right: jax.Array | np.ndarray
    places: "_Places"
    shape: tuple[int, int]

    @property
    def T(self) -> "Applied":  # noqa: N802, as in NumPy
        """The transpose of one variant."""
        order = self.places.by_columns
        turned = _Places(self.places.columns[order], self.places.rows[order])
        return Applied(self.entries[order], self.right.T, self.left.T, turned, self.shape[::-1])

    def astype(self, dtype: np.dtype) -> "Applied":
        """The numbers rounded to a precision."""
        entries, left, right = (a.astype(dtype) for a in (self.entries, self.left, self.right))
        return Applied(entries, left, right, self.places, self.shape)

    def times(self, block: jax.Array) -> jax.Array:
        """One variant times a block [columns, width]."""
        out = jnp.asarray(self.left) @ (jnp.asarray(self.right) @ block)
        if not self.places.rows.size:
            return out
        picked = self.places.picked(block)
        ones = isinstance(self.entries, np.ndarray) and bool((self.entries == 1.0).all())
        scaled = picked if ones else jnp.asarray(self.entries)[:, None] * picked
        return out + self.places.put(scaled, self.shape[0])

    def full(self) -> jax.Array:
        """One variant as an array."""
        entries = jnp.zeros(self.shape, self.left.dtype)
        entries = entries.at[self.places.rows, self.places.columns].set(self.entries)
        return entries + self.left @ self.right

    @property
    def cost(self) -> int:
        """Multiplications for every column of what it is multiplied with."""
        return int(self.entries.size + self.left.size + self.right.size)


@dataclasses.dataclass(frozen=True, eq=False)
class _Places:
    """Rows and columns of entries, sorted by rows."""

    rows: np.ndarray
    columns: np.ndarray

    @functools.cached_property
    def by_columns(self) -> np.ndarray:
        return np.lexsort((self.rows, self.columns))

    def picked(self, block: jax.Array) -> jax.Array:
        """Row `columns[i]` of the block for every entry i, as a slice where that is one."""
        if _in_a_row(self.columns):
            return block[self.columns[0] : self.columns[-1] + 1]
        return block[self.columns]

    def put(self, lines: jax.Array, size: int) -> jax.Array:
        """Line i added into row `rows[i]` of `size`, as padding where no two meet and none is
        left out between."""
        if _in_a_row(self.rows):
            before, after = self.rows[0], size - 1 - self.rows[-1]
            return jnp.pad(lines, ((before, after), (0, 0)))
        return jax.ops.segment_sum(lines, self.rows, size, indices_are_sorted=True)


def _in_a_row(places: np.ndarray) -> bool:
    return bool((np.diff(places) == 1).all())


def applied(constant: Constant) -> np.ndarray | Applied:
    """The constant with every number it is kept by along an axis of variants, float64."""
    if not isinstance(constant, Varied):
        return constant
    rows, columns = constant.shape[1:]
    patterns = [matrix.pattern for matrix in constant.each]
    numbers = np.unique(np.concatenate([r * columns + c for r, c in patterns]))
    entries = np.zeros((len(patterns), len(numbers)))
    for line, matrix, (r, c) in zip(entries, constant.each, patterns, strict=True):
        line[np.searchsorted(numbers, r * columns + c)] = matrix.entries.data
    rank = max(matrix.rank for matrix in constant.each)
    left = np.stack([_padded(matrix.left, (rows, rank)) for matrix in constant.each])
    right = np.stack([_padded(matrix.right, (rank, columns)) for matrix in constant.each])
    entries, left, right = (
        np.broadcast_to(array, (constant.variants, *array.shape[1:]))
        for array in (entries, left, right)
    )
    places = _Places(*np.divmod(numbers, columns))
    return Applied(entries, left, right, places, (rows, columns))


def _padded(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.pad(array, [(0, size - side) for size, side in zip(shape, array.shape, strict=True)])
