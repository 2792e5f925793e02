"""Cuts points that share a program into several programs, and deals runs out to jobs."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Point = Mapping[str, Any]


def shares(sizes: Sequence[int], at_least: int) -> list[int]:
    """Into how many parts each group is cut, so that there are `at_least`: the largest first.

    Args:
      sizes: points of each group.
      at_least: parts in all; fewer where there are fewer points, more where there are more groups.
    """
    counts = [1] * len(sizes)
    for _ in range(min(at_least, sum(sizes)) - len(sizes)):
        open_ = [index for index, size in enumerate(sizes) if counts[index] < size]
        counts[max(open_, key=lambda index: sizes[index] / counts[index])] += 1
    return counts


def cut(points: Sequence[_Point], axes: Sequence[str], count: int) -> list[Sequence[_Point]]:
    """Cuts a product of axes into `count` products or somewhat more, by its longest axis first.

    Args:
      points: all of the product.
      axes: the keys in which they differ.
      count: of the parts; at most the number of points.
    """
    if count <= 1:
        return [points]
    values = {key: list(dict.fromkeys(point[key] for point in points)) for key in axes}
    longest = max(axes, key=lambda key: len(values[key]))
    parts = min(count, len(values[longest]))
    below = -(-count // parts)  # of each part, where the axis alone does not give enough
    pieces: list[list[_Point]] = [[] for _ in range(parts)]
    place = {
        value: index
        for index, chunk in enumerate(_chunks(values[longest], parts))
        for value in chunk
    }
    for point in points:
        pieces[place[point[longest]]].append(point)
    return [piece for part in pieces for piece in cut(part, axes, below)]


def dealt(items: Sequence[_Item], hands: int) -> list[Sequence[_Item]]:
    """Deals items out like cards, so that each hand has of every region; none is empty."""
    return [items[first::hands] for first in range(min(hands, len(items)))]


def _chunks(values: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Values in a row of `count` pieces, of as equal lengths as can be."""
    ends = [len(values) * index // count for index in range(count + 1)]
    return [values[low:high] for low, high in itertools.pairwise(ends)]
