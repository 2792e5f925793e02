"""The layers of a compiled step as symbolic heads."""

import dataclasses
import functools

from elsa.attention import gram
from elsa.compiler.emitting import lower, structured
from elsa.compiler.emitting.slots import Placed
from elsa.compiler.planning.layers import Plan
from elsa.heads.head import Head
from elsa.heads.listing import heads_by_layer


@dataclasses.dataclass(frozen=True, eq=False)
class Heads:
    """A plan as symbolic heads, which are made when they are first asked for.

    skip: "residual", or "head" for one more head in every layer that returns the prompt.
    """

    plan: Plan
    placed: Placed
    skip: str

    @functools.cached_property
    def layers(self) -> tuple[tuple[Head, ...], ...]:
        """Load layer, prologue, the layers of every different step, epilogue."""
        schedule, variants = self.plan.schedule, self.plan.variants
        first, last = len(schedule.prologue), len(schedule.prologue) + len(schedule.step)
        load = [lower.load(self.placed.moves)] if self.placed.moves else []
        middle = [self._heads(index, 0) for index in range(first)]
        middle += [self._heads(i, t) for t in range(variants) for i in range(first, last)]
        end = range(last, last + len(schedule.epilogue))
        return (*load, *middle, *(self._heads(index, variants - 1) for index in end))

    def _heads(self, index: int, variant: int) -> tuple[Head, ...]:
        layer = self.plan.schedule.layers[index]
        return lower.heads_of(layer, index, self.placed, variant, variants=self.plan.variants)

    @functools.cached_property
    def costs(self) -> tuple[int, int]:
        """Multiplications of a step: by weight matrices on the whole prompt, and on its blocks."""
        first, last = self.parts
        rows, channels = self.placed.shape
        layers = self.layers[first : len(self.layers) - last][: len(self.plan.schedule.step)]
        weights = sum(
            gram.cost_of_rows(rows, channels, max(h.key_size for h in heads), len(heads))
            for heads in layers
        )
        return weights, structured.cost_of_step(self.plan.schedule)

    @property
    def parts(self) -> tuple[int, int]:
        """How many of `layers` come before, and after, the steps'."""
        schedule = self.plan.schedule
        return len(schedule.prologue) + bool(self.placed.moves), len(schedule.epilogue)

    def once(self) -> tuple[list[str], tuple[tuple[Head, ...], ...]]:
        """Titles of the layers around one step and its own, those of t = 0, and their heads."""
        first, last = self.parts
        layers = self.layers[: first + len(self.plan.schedule.step)]
        layers += self.layers[len(self.layers) - last :]
        return ["load"] * bool(self.placed.moves) + self.plan.titles, layers

    def __str__(self) -> str:
        """A title for each layer, and a line for each of its heads."""
        return "\n".join(heads_by_layer(*self.once()))
