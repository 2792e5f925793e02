"""A step's values computed as they stand, in NumPy: the order of the step, in any precision."""

from collections.abc import Mapping

import numpy as np

from elsa.base.matrices import Matrix, product
from elsa.compiler.tracing.constants import matrix_of
from elsa.compiler.tracing.graph import Node, Ref, constant_of, reachable


def evaluated(
    outputs: Mapping[str, Ref], blocks: Mapping[str, np.ndarray], variant: int
) -> dict[str, np.ndarray]:
    """The outputs of one step, in the precision of the blocks.

    Args:
      outputs: name of a block -> its value after the step.
      blocks: name of a block -> what it holds, two axes.
      variant: which of the numbers that depend on t are taken.
    """
    values: dict[Node, Matrix] = {}
    dtype = next(iter(blocks.values())).dtype

    def value_of(ref: Ref) -> Matrix:
        return values[ref.node].T if ref.flipped else values[ref.node]

    for node in reachable(outputs.values()):
        parts = [value_of(part) for _, part in node.parts]
        if node.kind == "leaf":
            values[node] = blocks[node.name]
        elif node.kind == "const":
            values[node] = matrix_of(constant_of(Ref(node)), variant).astype(dtype)
        elif node.kind == "add":
            numbers = [dtype.type(c[variant]) for c, _ in node.parts if c is not None]
            arrays = map(np.asarray, parts)
            terms = [part if c == 1 else c * part for c, part in zip(numbers, arrays, strict=True)]
            values[node] = sum(terms[1:], terms[0])
        elif node.kind == "mul":
            values[node] = product(parts[0], parts[1])
        else:
            values[node] = np.asarray(parts[0]) * np.asarray(parts[1])
    return {name: np.asarray(value_of(ref)) for name, ref in outputs.items()}
