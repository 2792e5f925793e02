"""Layers of symbolic heads in words."""

from collections.abc import Sequence

from elsa.base.listing import by_part
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
