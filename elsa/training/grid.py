"""The points of a sweep as the grid that they are, so that what depends on one axis is computed
once for all values of the others."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Grid(NamedTuple):
    """A tree of what differs between points, by the axes of their sweep, and a map over them.

    sizes: of the axes.
    points: a tree whose leaves have a leading axis for each axis of the sweep along which they
      differ, in the sweep's order.
    axes: for each axis of the sweep the same tree, 0 where a leaf has that axis and None elsewhere.
    """

    sizes: tuple[int, ...]
    points: Any
    axes: tuple[Any, ...]

    @classmethod
    def line(cls, points: Any, axes: Any, count: int) -> "Grid":
        """Points without an order among them: one axis."""
        return cls((count,), points, (axes,))

    @classmethod
    def of(cls, values: Mapping[str, Any], points: Any, axes: Any) -> "Grid":
        """Points that are the product of these values, the last axis fastest.

        Args:
          values: of each axis of the sweep.
          points: a tree whose leaves have one leading axis where points differ.
          axes: the same tree, 0 for these and None for the others.
        """
        sizes = tuple(len(each) for each in values.values()) or (1,)
        leaves, tree = jax.tree.flatten(points)
        structure: Any = tree
        has_axis = structure.flatten_up_to(axes)
        folded = [
            (leaf, (None,) * len(sizes)) if axis is None else _folded(leaf, sizes)
            for leaf, axis in zip(leaves, has_axis, strict=True)
        ]
        by_axis = zip(*(own for _, own in folded), strict=True)
        return cls(
            sizes,
            structure.unflatten([leaf for leaf, _ in folded]),
            tuple(structure.unflatten(own) for own in by_axis),
        )

    def differ(self, of_point: Callable[[Any], Any]) -> int:
        """How many different values a function of a point has: it is traced, not computed."""
        return math.prod(
            size for axis, size in enumerate(self.sizes) if self._differs(of_point, axis)
        )

    def _differs(self, of_point: Callable[[Any], Any], axis: int) -> bool:
        """Whether its value depends on what differs along this axis."""
        leaves, tree = jax.tree.flatten(self.points)
        structure: Any = tree
        has_axes = zip(*map(structure.flatten_up_to, self.axes), strict=True)
        others_at_0 = [
            leaf[tuple(slice(None) if at == axis else 0 for at, own in enumerate(has) if own == 0)]
            for leaf, has in zip(leaves, has_axes, strict=True)
        ]
        along = jax.vmap(of_point, (self.axes[axis],), out_axes=None, axis_size=self.sizes[axis])
        try:
            jax.eval_shape(along, structure.unflatten(others_at_0))
        except ValueError:  # jax's: what is mapped over cannot come out without an axis
            return True
        return False

    def over(
        self, function: Callable[[Any, Any, Any], Any], spmd_axis_name: str | None = None
    ) -> Callable[[Any, Any], Any]:
        """`function(own, point, shared)` of all points.

        Args:
          function: of a tree that each point has its own of, a point, and what all share.
          spmd_axis_name: the axis of the mesh along which the points of a line are divided.

        Returns:
          A function of `own`, whose leaves have the points as first axis, and `shared`, to a tree
          whose leaves have it, too.
        """
        every = function
        for size, axes in zip(reversed(self.sizes), reversed(self.axes), strict=True):
            every = jax.vmap(every, (0, axes, None), axis_size=size, spmd_axis_name=spmd_axis_name)

        def all_points(own: Any, shared: Any) -> Any:
            if len(self.sizes) == 1:
                return every(own, self.points, shared)
            folded = jax.tree.map(lambda leaf: leaf.reshape(*self.sizes, *leaf.shape[1:]), own)
            found = every(folded, self.points, shared)
            depth = len(self.sizes)
            return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[depth:]), found)

        return all_points


def _folded(leaf: Any, sizes: tuple[int, ...]) -> tuple[Any, tuple[int | None, ...]]:
    """A leaf with an axis for each one of the sweep along which it differs, and which these are."""
    whole = np.asarray(leaf)
    whole = whole.reshape(*sizes, *whole.shape[1:])
    axes: list[int | None] = []
    for _ in sizes:
        place = sum(axis is not None for axis in axes)
        first = np.take(whole, 0, axis=place)
        alike = bool((whole == np.expand_dims(first, place)).all())
        whole = first if alike else whole
        axes.append(None if alike else 0)
    return jnp.asarray(whole), tuple(axes)
