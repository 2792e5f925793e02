"""Lines of text for the layers of a stack."""

import itertools
from collections.abc import Sequence


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
