"""The layers of a stack in float64, one set of arrays for weights and biases, run in NumPy."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from elsa.nn.inside import Arrays
from elsa.nn.stack import Stack


class Layer(NamedTuple):
    """The factors of a layer's heads: a weight for each channel, then a bias for each row.

    With G = [H | I_n] a head is (G query) (G key)^T (G value).

    query, key: [heads, m + n, p].  value: [heads, m + n, m].
    """

    query: Float[np.ndarray, "heads inputs p"]
    key: Float[np.ndarray, "heads inputs p"]
    value: Float[np.ndarray, "heads inputs m"]

    @property
    def num_heads(self) -> int:
        return len(self.query)

    def head(self, number: int) -> "Layer":
        """One head, as a layer."""
        return Layer(*(array[number : number + 1] for array in self))

    def with_head(self, number: int, other: "Layer") -> "Layer":
        """The layer with another head in the place of one."""
        keys = max(self.query.shape[-1], other.query.shape[-1])
        made = [_padded(a, keys) for a in self[:2]]
        for array, new in zip(made, other[:2], strict=True):
            array[number] = _padded(new, keys)[0]
        value = self.value.copy()
        value[number] = other.value[0]
        return Layer(made[0], made[1], value)

    def contributions(
        self, h: Float[np.ndarray, "*batch n m"]
    ) -> Float[np.ndarray, "*batch heads n m"]:
        """What each head adds to a prompt, or to each of a batch."""
        m, h = h.shape[-1], h[..., None, :, :]
        q, k, v = (h @ array[:, :m] + array[:, m:] for array in self)
        found: np.ndarray = q @ (np.swapaxes(k, -1, -2) @ v)
        return found

    def sizes(self, h: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "heads n m"]:
        """The same of the absolute values: what rounding is relative to."""
        return Layer(*map(np.abs, self)).contributions(np.abs(h))


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """The layers of a stack with weights of their own.

    prologue, epilogue: run once, before and after.
    steps: the body's layers, one entry for each step, or one alone where it is tied.
    depth: how often the body runs.
    residual: whether a layer's output is added to the prompt.
    """

    prologue: tuple[Layer, ...]
    steps: tuple[tuple[Layer, ...], ...]
    epilogue: tuple[Layer, ...]
    depth: int
    residual: bool

    @property
    def tied(self) -> bool:
        return len(self.steps) == 1

    @property
    def num_layers(self) -> int:
        return len(self.prologue) + self.depth * self.period + len(self.epilogue)

    @property
    def period(self) -> int:
        return len(self.steps[0]) if self.steps else 0

    def step(self, index: int) -> tuple[Layer, ...]:
        """The layers of a step."""
        return self.steps[0 if self.tied else index]

    def order(self, rounds: int) -> Iterator[tuple[int, Layer]]:
        """Layers by the number under which each runs, the body `rounds` times."""
        first = len(self.prologue)
        yield from enumerate(self.prologue)
        for index in range(rounds):
            yield from enumerate(self.step(index), first + index * self.period)
        yield from enumerate(self.epilogue, self.num_layers - len(self.epilogue))

    def distinct(self) -> list[tuple[int, Layer]]:
        """Every set of weights once, by the number under which it runs first."""
        return list(self.order(min(self.depth, len(self.steps))))

    def at(self, number: int) -> Layer:
        """The layer that runs under a number."""
        inside = number - len(self.prologue)
        if inside < 0:
            return self.prologue[number]
        if inside < self.depth * self.period:
            step, place = divmod(inside, self.period)
            return self.step(step)[place]
        return self.epilogue[inside - self.depth * self.period]

    def replaced(self, number: int, layer: Layer) -> "Program":
        """The program with other weights for what runs under a number, in all rounds if tied."""
        inside, body = number - len(self.prologue), self.depth * self.period
        if inside < 0:
            return dataclasses.replace(self, prologue=_with(self.prologue, number, layer))
        if inside >= body:
            return dataclasses.replace(self, epilogue=_with(self.epilogue, inside - body, layer))
        step, place = divmod(inside, self.period)
        step = 0 if self.tied else step
        steps = _with(self.steps, step, _with(self.steps[step], place, layer))
        return dataclasses.replace(self, steps=steps)

    def after(
        self, layers: Sequence[Layer], h: Float[np.ndarray, "*batch n m"]
    ) -> Float[np.ndarray, "*batch n m"]:
        """The prompt, or prompts, after some layers."""
        for layer in layers:
            added = layer.contributions(h).sum(axis=-3)
            h = h + added if self.residual else added
        return h

    def boundaries(
        self, h: Float[np.ndarray, "*batch n m"], rounds: int
    ) -> list[Float[np.ndarray, "*batch n m"]]:
        """The prompts if the stack ended after 0 .. rounds steps."""
        h = self.after(self.prologue, h)
        ended = [self.after(self.epilogue, h)]
        for index in range(rounds):
            h = self.after(self.step(index), h)
            ended.append(self.after(self.epilogue, h))
        return ended


def program(stack: Stack, layers: Sequence[Arrays]) -> Program:
    """A stack's layers with these arrays: those of prologue, one body, epilogue."""
    first, last = len(stack.prologue), len(layers) - len(stack.epilogue)
    body = layers[first:last]
    steps = [body] if stack.tied else _steps(body, stack.depth)
    return Program(
        tuple(map(as_layer, layers[:first])),
        tuple(tuple(map(as_layer, step)) for step in steps),
        tuple(map(as_layer, layers[last:])),
        stack.depth,
        stack.skip == "residual",
    )


def _steps(body: Sequence[Arrays], depth: int) -> list[list[Arrays]]:
    return [[{n: a[t] for n, a in layer.items()} for layer in body] for t in range(depth)]


def as_layer(arrays: Mapping[str, np.ndarray]) -> Layer:
    """Weights and biases in one array a factor; without biases one row of zeros, added to all."""
    factors = []
    for factor in "qkv":
        weight = np.asarray(arrays[f"w{factor}"], np.float64)
        bias = arrays.get(f"b{factor}")
        rows = np.zeros((len(weight), 1, weight.shape[-1])) if bias is None else bias
        factors.append(np.concatenate([weight, np.asarray(rows, np.float64)], axis=-2))
    return Layer(*factors)


def _with(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _padded(array: np.ndarray, width: int) -> np.ndarray:
    return np.pad(array, [(0, 0), (0, 0), (0, width - array.shape[-1])])
