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
    """The formula of a head as the stack lists it; empty where it has none.

    A layer that has other heads than the listed ones, as after a split, has none.
    """
    inner, symbolic = stack.stack, stack.layers
    first, last, period = len(inner.prologue), len(inner.epilogue), len(inner.body)
    inside = layer - first
    if inside < 0:
        place = stored = layer
    elif inside < inner.depth * period:
        variants = max((len(symbolic) - first - last) // period, 1)
        place = first + (inside if variants == inner.depth else inside % period)
        stored = first + inside % period
    else:
        stored = first + period + inside - inner.depth * period
        place = len(symbolic) - last + stored - first - period
    heads = symbolic[place] if 0 <= place < len(symbolic) else ()
    skips = bool(heads) and inner.skip == "head"
    own = [*inner.prologue, *inner.body, *inner.epilogue][stored]
    if own.wq[...].shape[-3] != len(heads) + skips:
        return ""
    return heads[head].formula if head < len(heads) else "H += H"
