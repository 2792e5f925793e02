"""What the layers of a stack assign: the result of planning a step, and its listing."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Literal, NamedTuple

from elsa.base.listing import by_part
from elsa.compiler.planning.chains import Chain, bare
from elsa.compiler.planning.products import Product
from elsa.compiler.tracing.graph import Node, in_front, joined, lettered, letters

_TALL = 8  # times as long as wide: from there on a listing mentions "gram"


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


class Measured(NamedTuple):
    """Rounding at one scale: a stack's over the step's own, with blocks of norm `scale`."""

    scale: float
    ratio: float


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The schedule of a step, and how it was found.

    inputs, outputs: name of a block -> the chain that holds it.
    variants: sets of numbers in the layers: 1, or one for each step.
    reassociate: how products were planned, as `compile` was asked.
    rounding: of a "gram" plan, over that of the step itself, at several scales.
    """

    schedule: Schedule
    inputs: Mapping[str, Chain]
    outputs: Mapping[str, Chain]
    variants: int
    reassociate: bool | Literal["gram"] = True
    rounding: tuple[Measured, ...] = ()

    @functools.cached_property
    def names(self) -> Mapping[Chain | Node, str]:
        """Every value that is stored, and every constant -> a readable name."""
        products = [
            p for layer in self.schedule.layers for assign in layer for p in assign.products
        ]
        constants = [ref for p in products for ref in (p.left, p.middle, p.right) if ref]
        names = dict[Chain | Node, str]()
        for node, name in letters(constants).items():
            names[node] = name
        names |= {chain: name for name, chain in self.inputs.items()}
        for layer in self.schedule.layers:
            for assign in layer:
                if assign.target not in names:
                    names[assign.target] = _name(assign.target, names)
        return names

    @property
    def titles(self) -> list[str]:
        """One for each layer of the schedule."""
        schedule = self.schedule
        step = f"step, {schedule.depth} times" + ", numbers of t = 0" * (self.variants > 1)
        titles = ["prologue"] * len(schedule.prologue) + [step] * len(schedule.step)
        return titles + ["epilogue"] * len(schedule.epilogue)

    @property
    def words(self) -> str:
        """How the step's products were planned, what that costs, and whether "gram" is worth a
        try."""
        if self.reassociate == "gram":
            measured = ", ".join(f"{m.ratio:.2g} at {m.scale:.2g}" for m in self.rounding)
            return (
                "gram, products distributed and regrouped within the step; rounding over that of "
                f"the step itself, by the norm of drawn blocks: {measured or 'not measured'}"
            )
        schedule, words = self.schedule, "products as the step forms them"
        if schedule.residuals:
            names = sorted(self.names[chain] for chain in schedule.residuals)
            words += f", {' and '.join(names)} carried as {'states' if names[1:] else 'a state'}"
        tall = [shape for shape in _read(schedule) if max(shape) >= _TALL * min(shape) > _TALL]
        if tall and (schedule.residuals or len(schedule.step) > 1):
            rows, columns = max(tall, key=max)
            side = min(rows, columns)
            words += (
                f'\n    reassociate="gram" may multiply {side} x {side} matrices in every step in '
                f"place of {rows} x {columns}\n    ones: faster, with fewer digits where they are "
                "ill-conditioned"
            )
        return words

    def __str__(self) -> str:
        """A line for each value that a layer writes; numbers are those of t = 0."""
        layers = [[self._line(assign) for assign in layer] for layer in self.schedule.layers]
        return "\n".join([f"plan: {self.words}", *by_part(self.titles, layers)])

    def _line(self, assign: Assign) -> str:
        terms = [formula(product, self.names, 0) for product in assign.products]
        return f"{self.names[assign.target]} = {joined(terms or ['0'])}"


def _read(schedule: Schedule) -> set[tuple[int, int]]:
    """Shapes of what the step multiplies and does not write itself."""
    written = {assign.target for layer in schedule.step for assign in layer}
    products = [p for layer in schedule.step for assign in layer for p in assign.products]
    operands = {chain for p in products if len(p.operands) > 1 for chain, _ in p.operands}
    return {chain.shape for chain in operands - written}


def _name(chain: Chain, taken: Mapping[Chain | Node, str]) -> str:
    """`X^T X` where the value is a product of blocks, else `v1`, `v2`, ..."""
    plain = all(const is None for const in chain.consts)
    leaves = all(factor.node.kind == "leaf" for factor in chain.factors)
    if plain and leaves:
        return " ".join(f"{f.node.name}{'^T' if f.flipped else ''}" for f in chain.factors)
    if chain.bare and chain.factors[0].flipped and bare(chain.factors[0].T) in taken:
        return f"{taken[bare(chain.factors[0].T)]}^T"
    used = set(taken.values())
    return next(name for name in (f"v{i}" for i in itertools.count(1)) if name not in used)


def formula(product: Product, names: Mapping[Chain | Node, str], variant: int) -> str:
    """`-0.1 M A^T B`, constants as letters."""
    words = [] if product.left is None else [lettered(product.left, names)]
    for index, (chain, flip) in enumerate(product.operands):
        name = names[chain]
        turned = f"({name})^T" if " " in name or "^" in name else f"{name}^T"
        shown = turned if flip else name
        words.append(f"({shown})" if " " in shown and not shown.startswith("(") else shown)
        if index == 0 and product.middle is not None:
            words.append(lettered(product.middle, names))
    if product.right is not None:
        words.append(lettered(product.right, names))
    return in_front(float(product.coefficient[variant])) + " ".join(words)
