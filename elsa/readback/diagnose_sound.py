"""Weights that do what a step does, for a stack that perhaps does not."""

from collections.abc import Iterator

from elsa.compiler import CompileError, compile
from elsa.nn import inside
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_layers import Program, program
from elsa.readback.diagnose_reference import Probe, Step, differs


def sound_program(
    stack: BlockStack, step: Step | BlockStack | None, found: Program, probes: list[Probe]
) -> Program | None:
    """Layers of the same prompts that do what they should; None where none are known.

    A sound stack is taken at its word. Of a step there are the weights with which the stack was
    built, those that the step compiles to, and the stack's own.

    Raises:
      ValueError: for a sound stack of other layers.
    """
    if isinstance(step, BlockStack):
        step.require_weights("diagnose")
        layers = inside.layers_of(step.stack)
        if (
            not inside.adds_alike(layers, inside.layers_of(stack.stack))
            or len(step.stack.prologue) != len(stack.stack.prologue)
            or len(step.stack.epilogue) != len(stack.stack.epilogue)
            or step.stack.depth != stack.stack.depth
        ):
            raise ValueError(
                f"diagnose: the sound stack must have the layers of the other, {stack!r}, got "
                f"{step!r}"
            )
        return program(step.stack, layers)
    for candidate in _candidates(stack, step, found):
        if differs(stack, candidate, probes) is None:
            return candidate
    return None


def _candidates(stack: BlockStack, step: Step | None, found: Program) -> Iterator[Program]:
    built = inside.built_layers_of(stack)
    if built is not None:
        yield program(stack.stack, built)
    if step is not None:
        yield from _compiled(stack, step)
    yield found


def _compiled(stack: BlockStack, step: Step) -> Iterator[Program]:
    """The step's own layers, where they run on the prompts of the stack's."""
    inner, own = stack.stack, inside.layers_of(stack.stack)
    for layout in (None, stack.layout):
        try:
            made = compile(
                step,
                stack.inputs,
                inner.depth,
                tied=inner.tied,
                layout=layout,
                skip=inner.skip,
                dtype=stack.dtype,
            )
            made.require_weights("diagnose")
        except (CompileError, ValueError):
            return
        layers = inside.layers_of(made.stack)
        if inside.adds_alike(layers, own) and len(made.stack.prologue) == len(inner.prologue):
            yield program(inner, layers)
