"""Faults planted in sound stacks, and what a diagnosis must say of each."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from elsa.nn import BlockStack
from tests.readback.subjects import ETA, Subject, subjects

_LAMBDA = ("lam", "ridge")


@dataclasses.dataclass(frozen=True)
class Planted:
    """A stack with a fault, how to ask for it, and where and what it is."""

    name: str
    stack: BlockStack
    step: Any
    blocks: dict[str, np.ndarray]
    layer: int
    head: int
    kinds: tuple[str, ...]


def planted(
    seed: int, subject: Subject, name: str, kind: str, *, tried: bool = True
) -> Planted | None:
    """One fault, drawn by a seed; None where the stack has no room for one of that kind.

    tried: whether faults that change no output are left out, too.
    """
    rng, stack = np.random.default_rng(seed), subject.make()
    made = FAULTS[kind](rng, stack, subject)
    if made is None or (tried and not _changes(stack, subject, kind)):
        return None
    layer, head, kinds, step, blocks = made
    title = f"{name}: {kind}, seed {seed}"
    return Planted(title, stack, step, blocks, layer, head, kinds)


def many(count: int, seed: int = 0) -> Iterator[Planted]:
    """So many faults from a seed on, kinds and stacks in turn."""
    stacks = subjects()
    names, kinds = list(stacks), list(FAULTS)
    while count:
        name, kind = names[seed // len(kinds) % len(names)], kinds[seed % len(kinds)]
        one = planted(seed, stacks[name], name, kind)
        seed += 1
        if one is not None:
            count -= 1
            yield one


Made = tuple[int, int, tuple[str, ...], Any, dict[str, np.ndarray]] | None


def skip_bias(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """An entry of the arrays that make a skip head the identity."""
    if stack.stack.skip != "head":
        return None
    number, layer = _layer(rng, stack)
    head = layer.wq.shape[-3] - 1
    names = [
        name for name in ("bq", "bk", "bv", "wq") if np.asarray(_part(layer, name, head)).any()
    ]
    _edit(layer, str(rng.choice(names)), head, _one_more(rng))
    return number, head, ("skip",), subject.step, {}


def off_by_one(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """The rows or channels of one factor, or of what is written, one further."""
    number, head, layer, symbolic = _head(rng, stack)
    used = [n for n in layer.fields if np.asarray(_part(layer, n, head)).any()]
    name = str(rng.choice([*used, "into"]))
    if name == "into":
        for part in (n for n in ("wv", "bv") if n in layer.fields):
            _edit(layer, part, head, lambda a: np.roll(a, 1, axis=-1))
    else:
        _edit(layer, name, head, lambda a: np.roll(a, 1, axis=-2))
    has_lambda = any(word in symbolic.formula for word in _LAMBDA)
    kinds = ("block", "lambda") if has_lambda and name[-1] in "kv" else ("block",)
    return number, head, kinds, subject.step, {}


def sign(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """A factor of a head, turned."""
    number, head, layer, _ = _head(rng, stack)
    _scale(layer, str(rng.choice(list("qkv"))), head, -1.0)
    return number, head, ("sign",), subject.step, {}


def scale(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """A factor of a head, made smaller or a little larger."""
    number, head, layer, _ = _head(rng, stack)
    _scale(layer, str(rng.choice(list("qkv"))), head, float(rng.choice([0.0, 0.5, 0.95, 1.2])))
    return number, head, ("scale",), subject.step, {}


def step_size(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """Weights as built, on data for which the step is too large."""
    if not set(subject.blocks) >= {"X", "y", "lam", "w"} or "Z" in subject.blocks:
        return None
    data = dict(subject.blocks)
    data["X"] = data["X"] * float(rng.uniform(2.5, 4.0)) * (1.0 / ETA) ** 0.5
    data["X"] /= np.linalg.norm(subject.blocks["X"], 2) * (1.0 if "p" not in data else 2.0)
    number, head = _first_update(stack)
    return number, head, ("step size",), subject.step, data


def larger_step(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """Every head that updates w, three or more times as large, on the subject's data."""
    if not hasattr(stack, "step_size") or stack.name == "ridge_lsa_state":
        return None
    factor = float(rng.uniform(3.0, 6.0))
    number, head = _first_update(stack)
    layer = stack.stack.body[number - len(stack.stack.prologue)]
    for other in range(len(stack.layers[number])):
        _scale(layer, "q", other, factor)
    return number, head, ("step size",), subject.step, subject.blocks


def lambda_misplaced(rng: np.random.Generator, stack: BlockStack, subject: Subject) -> Made:
    """A head that reads lambda, from another row or channel; or lambda in another place."""
    places = [
        (number, head)
        for number, layer in _layers(stack)
        for head, symbolic in enumerate(_symbolic(stack, number))
        if any(f" {word}" in symbolic.formula or f"({word}" in symbolic.formula for word in _LAMBDA)
    ]
    if not places:
        return None
    number, head = places[rng.integers(len(places))]
    layer = dict(_layers(stack))[number]
    if "bk" in layer.fields and np.asarray(_part(layer, "bk", head)).any():
        name = "bk" if rng.random() < 0.5 else "wv"
        _edit(layer, name, head, lambda a: np.roll(a, 1, axis=-2))
        return number, head, ("lambda",), subject.step, {}
    if "ridge" not in stack.layout:
        return None
    box = stack.layout.box("ridge")

    def aside(a: np.ndarray) -> np.ndarray:
        other = a.copy()
        other[box.channels] = np.roll(a[box.channels], 1, axis=0)
        return other

    _edit(layer, "wk", head, aside)
    return number, head, ("lambda", "block"), subject.step, {}


FAULTS: dict[str, Callable[..., Made]] = {
    "skip bias": skip_bias,
    "off by one": off_by_one,
    "sign": sign,
    "scale": scale,
    "step size": step_size,
    "larger step": larger_step,
    "lambda misplaced": lambda_misplaced,
}


def _layers(stack: BlockStack) -> Iterator[tuple[int, Any]]:
    """The layers with weights, by the number at which each runs first."""
    inner = stack.stack
    body = [*inner.prologue, *inner.body]
    yield from enumerate(body)
    yield from enumerate(inner.epilogue, stack.num_layers - len(inner.epilogue))


def _symbolic(stack: BlockStack, number: int) -> Any:
    inner = stack.stack
    first, last = len(inner.prologue) + len(inner.body), len(inner.epilogue)
    at_end = number - (stack.num_layers - last)
    return stack.layers[
        len(stack.layers) - last + at_end if at_end >= 0 and number >= first else number
    ]


def _layer(rng: np.random.Generator, stack: BlockStack) -> tuple[int, Any]:
    layers = list(_layers(stack))
    return layers[rng.integers(len(layers))]


def _head(rng: np.random.Generator, stack: BlockStack) -> tuple[int, int, Any, Any]:
    number, layer = _layer(rng, stack)
    symbolic = _symbolic(stack, number)
    head = int(rng.integers(len(symbolic)))
    return number, head, layer, symbolic[head]


def _part(layer: Any, name: str, head: int) -> Any:
    return getattr(layer, name)[...][..., head, :, :]


def _edit(layer: Any, name: str, head: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """One head's array, changed; of the first step where each has its own."""
    parameter = getattr(layer, name)
    arrays = np.array(parameter[...])
    place = (0, head) if arrays.ndim == 4 else (head,)
    arrays[place] = change(arrays[place])
    parameter[...] = jnp.asarray(arrays)


def _scale(layer: Any, factor: str, head: int, by: float) -> None:
    for name in (f"w{factor}", f"b{factor}"):
        if name in layer.fields:
            _edit(layer, name, head, lambda a: by * a)


def _one_more(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    def change(a: np.ndarray) -> np.ndarray:
        other = a.copy()
        if rng.random() < 0.3:  # an entry that is not zero is lost
            places = np.argwhere(a)
            other[tuple(places[rng.integers(len(places))])] = 0.0
        else:
            other[rng.integers(a.shape[0]), rng.integers(a.shape[1])] += rng.uniform(0.1, 1.0)
        return other

    return change


def _first_update(stack: BlockStack) -> tuple[int, int]:
    """The head of a step by which w grows: the first that adds X^T of something to the channels of
    w, or the first that writes there; in ridge_lsa the fit holds it."""
    channels = set(stack.readout.box("w").channels)
    first = len(stack.stack.prologue)
    for number in range(first, first + len(stack.stack.body)):
        heads = [
            (h, s.formula)
            for h, s in enumerate(_symbolic(stack, number))
            if set(s.into) == channels
        ]
        if heads:
            return number, next((h for h, formula in heads if "X^T" in formula), heads[0][0])
    raise AssertionError("no head updates w")


def _changes(stack: BlockStack, subject: Subject, kind: str) -> bool:
    """Whether the outputs are others than a sound stack's, on blocks that are drawn."""
    if kind in ("step size", "larger step"):
        return True
    rng = np.random.default_rng(1)
    blocks = {name: block * rng.uniform(0.5, 1.0) for name, block in subject.blocks.items()}
    blocks = {n: b for n, b in blocks.items() if n in stack.inputs}
    found, sound = stack(**blocks), subject.make()(**blocks)
    gaps = [float(jnp.abs(found[n] - sound[n]).max()) for n in sound]
    sizes = [float(jnp.abs(sound[n]).max()) for n in sound]
    return any(not gap <= 1e-7 * size for gap, size in zip(gaps, sizes, strict=True))
