"""Everything about a compiled step that is no array."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from elsa.attention import gram
from elsa.compiler.emitting import lower, structured
from elsa.compiler.emitting.slots import Slots
from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Schedule
from elsa.heads.head import Head
from elsa.prompts.layout import BlockLayout


class Measured(NamedTuple):
    """Rounding at one scale: a stack's over the step's own, with blocks of norm `scale`."""

    scale: float
    ratio: float


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """Everything about a compiled step that is no array: hashed by identity, static under jit.

    step: the JAX function, the reference for `verify`.
    takes_t: True where the step is called with `t`, the index of the step.
    inputs: name -> shape of the JAX array that the step takes.
    outputs: name -> the chain that holds it.
    places: name of an input -> the chain that holds it.
    moves: what the load layer moves: name, the caller's box, the private box, stored transposed.
    reassociate: how products were planned, as `compile` was asked.
    rounding: of a "gram" plan, over that of the step itself, at several scales.
    """

    step: Callable[..., Mapping[str, Any]]
    takes_t: bool
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, Chain]
    places: Mapping[str, Chain]
    schedule: Schedule
    slots: Slots
    layout: BlockLayout
    moves: tuple[tuple[str, Any, Any, bool], ...]
    variants: int
    skip: str
    reassociate: bool | Literal["gram"] = True
    rounding: tuple[Measured, ...] = ()

    @functools.cached_property
    def layers(self) -> tuple[tuple[Head, ...], ...]:
        """Symbolic heads: load layer, prologue, the layers of every different step, epilogue."""
        schedule = self.schedule
        first, last = len(schedule.prologue), len(schedule.prologue) + len(schedule.step)
        load = [lower.load(self.moves)] if self.moves else []
        found = [self._heads(index, 0) for index in range(first)]
        found += [self._heads(i, t) for t in range(self.variants) for i in range(first, last)]
        end = range(last, last + len(schedule.epilogue))
        return (*load, *found, *(self._heads(index, self.variants - 1) for index in end))

    def _heads(self, index: int, variant: int) -> tuple[Head, ...]:
        layer = self.schedule.layers[index]
        return lower.heads_of(layer, index, self.slots, variant, variants=self.variants)

    @functools.cached_property
    def costs(self) -> tuple[int, int]:
        """Multiplications of a step: by weight matrices on the whole prompt, and on its blocks."""
        first, last = self.parts
        rows, channels = self.slots.shape
        layers = self.layers[first : len(self.layers) - last][: len(self.schedule.step)]
        weights = sum(
            gram.cost_of_rows(rows, channels, max(h.key_size for h in heads), len(heads))
            for heads in layers
        )
        return weights, structured.cost_of_step(self.schedule)

    @property
    def parts(self) -> tuple[int, int]:
        """How many of `layers` come before, and after, the steps'."""
        return len(self.schedule.prologue) + bool(self.moves), len(self.schedule.epilogue)
