"""A step's values computed as they stand, in NumPy: the order of the step, in any precision."""

from collections.abc import Mapping

import numpy as np

from elsa.compiler.tracing.graph import Node, Ref, const_array, reachable


def evaluated(
    outputs: Mapping[str, Ref], blocks: Mapping[str, np.ndarray], variant: int
) -> dict[str, np.ndarray]:
    """The outputs of one step, in the precision of the blocks.

    Args:
      outputs: name of a block -> its value after the step.
      blocks: name of a block -> what it holds, two axes.
      variant: which of the numbers that depend on t are taken.
    """
    values: dict[Node, np.ndarray] = {}
    dtype = next(iter(blocks.values())).dtype

    def value_of(ref: Ref) -> np.ndarray:
        return values[ref.node].T if ref.flipped else values[ref.node]

    for node in reachable(outputs.values()):
        parts = [value_of(part) for _, part in node.parts]
        if node.kind == "leaf":
            values[node] = blocks[node.name]
        elif node.kind == "const":
            values[node] = const_array(Ref(node))[variant].astype(dtype)
        elif node.kind == "add":
            numbers = [dtype.type(c[variant]) for c, _ in node.parts if c is not None]
            terms = [part if c == 1 else c * part for c, part in zip(numbers, parts, strict=True)]
            values[node] = sum(terms[1:], terms[0])
        else:
            values[node] = parts[0] @ parts[1] if node.kind == "mul" else parts[0] * parts[1]
    return {name: value_of(ref) for name, ref in outputs.items()}
