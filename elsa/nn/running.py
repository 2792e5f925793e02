"""Running a stack in one compiled program, and what is kept of the prompts on the way."""

import dataclasses
from typing import Any

from flax import nnx
from jaxtyping import Array

from elsa.base.jit import jitted
from elsa.nn.stack import Observer
from elsa.prompts.layout import BlockLayout


@dataclasses.dataclass(frozen=True)
class ReadBlocks:
    """An observer that keeps some blocks of every prompt; equal ones share one compiled program."""

    layout: BlockLayout
    names: tuple[str, ...]

    def __call__(self, h: Array) -> dict[str, Array]:
        return {name: self.layout.block(h, name) for name in self.names}


def whole_prompt(h: Array) -> Array:
    """An observer that keeps every prompt."""
    return h


@jitted("graph", "observe", "ended")
def run_stack(graph: Any, state: Any, h: Array, observe: Observer | None, ended: bool) -> Any:
    """The stack that graph and state make, on a prompt; `observe` sees it as it is or ended."""
    stack = nnx.merge(graph, state)
    if ended and observe is not None:
        return stack(h, observe=lambda prompt: observe(stack.ended(prompt)))
    return stack(h, observe=observe)
