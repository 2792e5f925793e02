"""What the channels of a stack hold, and what its heads are said to compute."""

from elsa.compiler.stack import CompiledStack
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_heads import GIVEN, Names


def names_of(stack: BlockStack) -> Names:
    """The named channels of a stack's own prompt: values of a compiled step, or blocks."""
    channels = stack.readout.shape[1]
    if isinstance(stack, CompiledStack):
        placed = stack.stages.placed
        return Names([(placed.names[c], box) for c, box in placed.boxes.items()], channels)
    boxes = dict(stack.layout.blocks) | dict(stack.readout.blocks)
    given = [(GIVEN + n, b) for n, b in stack.layout.blocks.items() if boxes[n] != b]
    return Names([*boxes.items(), *given], channels)


def formula(stack: BlockStack, layer: int, head: int) -> str:
    """The formula of a head as the stack lists it; empty where it has none."""
    inner, symbolic = stack.stack, stack.layers
    first, last, period = len(inner.prologue), len(inner.epilogue), len(inner.body)
    inside = layer - first
    if inside < 0:
        place = layer
    elif inside < inner.depth * period:
        variants = max((len(symbolic) - first - last) // period, 1)
        place = first + (inside if variants == inner.depth else inside % period)
    else:
        place = len(symbolic) - last + inside - inner.depth * period
    heads = symbolic[place] if 0 <= place < len(symbolic) else ()
    if head < len(heads):
        return heads[head].formula
    return "H += H" if heads and inner.skip == "head" else ""
