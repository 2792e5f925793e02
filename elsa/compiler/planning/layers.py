"""What the layers of a stack assign: the result of planning a step."""

import dataclasses

from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.plan import Product


@dataclasses.dataclass(frozen=True, eq=False)
class Assign:
    """One value written by a layer: the sum of its products."""

    target: Chain
    products: tuple[Product, ...]


Layer = tuple[Assign, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The layers of a stack.

    prologue, step, epilogue: layers; all values of a layer are read before any is written.
    carried: what the step reads and writes: the states, and transposes and residuals beside them.
    depth: how often the step runs.
    refresh: residuals and their transposes from the states, layer by layer: what the step's heads
      add up to for the next step.
    """

    prologue: tuple[Layer, ...]
    step: tuple[Layer, ...]
    epilogue: tuple[Layer, ...]
    carried: tuple[Chain, ...]
    depth: int
    refresh: tuple[Layer, ...] = ()

    @property
    def direct(self) -> tuple[Layer, ...]:
        """The step's layers without what `refresh` computes from the new states."""
        refreshed = {assign.target for layer in self.refresh for assign in layer}
        return tuple(
            tuple(assign for assign in layer if assign.target not in refreshed)
            for layer in self.step
        )

    @property
    def residuals(self) -> tuple[Chain, ...]:
        """What the step carries beside the blocks that it returns."""
        refreshed = [assign.target for layer in self.refresh for assign in layer]
        return tuple(chain for chain in refreshed if not chain.factors[0].flipped)

    @property
    def num_layers(self) -> int:
        return len(self.prologue) + self.depth * len(self.step) + len(self.epilogue)

    @property
    def cost(self) -> tuple[int, int, int, int]:
        """Layers, then heads that run, then entries stored, then heads in all."""
        once = sum(_heads(layer) for layer in (*self.prologue, *self.epilogue))
        each = sum(_heads(layer) for layer in self.step)
        stored = {a.target for layer in self.layers for a in layer}
        entries = sum(chain.shape[0] * chain.shape[1] for chain in stored)
        return self.num_layers, once + self.depth * each, entries, once + each

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (*self.prologue, *self.step, *self.epilogue)


def _heads(layer: Layer) -> int:
    return sum(len(assign.products) for assign in layer)
