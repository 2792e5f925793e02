"""Layers of symbolic heads in words."""

import itertools
from collections.abc import Sequence

from elsa.heads.head import Head


def heads_by_layer(
    titles: Sequence[str], layers: Sequence[Sequence[Head]], edited: Sequence[set[int]] = ()
) -> list[str]:
    """A title for each layer and a line for each of its heads.

    edited: for each layer the indices of heads whose weights differ from the formula.
    """
    layers_of_lines = []
    for index, heads in enumerate(layers):
        changed = edited[index] if index < len(edited) else set()
        layers_of_lines.append(
            [
                f"{head.formula}    (p = {head.key_size})"
                + ", edited: its weights are others" * (number in changed)
                for number, head in enumerate(heads)
            ]
        )
    return by_part(titles, layers_of_lines)


def by_part(titles: Sequence[str], layers: Sequence[Sequence[str]]) -> list[str]:
    """Each title once, above the lines of its layers, which are numbered where it has several."""
    lines = []
    pairs = zip(titles, layers, strict=False)
    for title, part in itertools.groupby(pairs, key=lambda pair: pair[0]):
        lines.append(f"  {title}")
        own = [layer for _, layer in part]
        for number, layer in enumerate(own, 1):
            indent = "    "
            if len(own) > 1:
                lines.append(f"    layer {number} of {len(own)}")
                indent += "  "
            lines += [indent + line for line in layer]
    return lines
