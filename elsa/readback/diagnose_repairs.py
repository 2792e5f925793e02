"""The one change of one head that makes a stack do what its step does, found by trying.

For stacks whose weights were never sound, or are not known as such: what mends them names the head.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from elsa.heads.head import stack_dense
from elsa.heads.products import skip
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_departures import Departure
from elsa.readback.diagnose_heads import Names, explained, scaled, skip_fault
from elsa.readback.diagnose_layers import Layer, Program, as_layer
from elsa.readback.diagnose_reference import Probe, differs, outputs

_STARTS = (1.0, -1.0)  # of the search for a factor
_ROUNDS = 12  # of it
_FACTOR, _VALUE = 1e-6, 2  # step of a derivative; place of the values among the factors


def repaired(
    stack: BlockStack, found: Program, probes: list[Probe], names: Names
) -> Departure | None:
    """The head whose change of sign, scale or place makes the outputs right; None where none does.

    A skip head is tried first, then signs and scales, then factors moved along the channels or the
    rows.
    """

    def mends(program: Program) -> bool:
        return differs(stack, program, probes[:1]) is None and not differs(stack, program, probes)

    shape = probes[0].prompt.shape
    identity = None if found.residual else as_layer(stack_dense([skip(shape)], shape)._asdict())
    for number, layer in found.distinct():
        last = layer.num_heads - 1
        if identity is not None and mends(found.replaced(number, layer.with_head(last, identity))):
            return Departure(number, last, skip_fault(layer.head(last), shape))
    for number, layer in found.distinct():
        for head in range(layer.num_heads):
            factor = _factor(stack, found, probes, number, head)
            if factor is not None and mends(_scaled(found, number, head, factor)):
                fault = scaled(1.0 / factor) if factor else scaled(np.inf)
                return Departure(number, head, fault)
    for number, layer in found.distinct():
        for head in range(layer.num_heads):
            own = layer.head(head)
            for other in _moved(own, names.channels):
                if mends(found.replaced(number, layer.with_head(head, other))):
                    return Departure(number, head, explained(own, other, names))
    return None


def common_ratio(stack: BlockStack, program: Program, probes: Sequence[Probe]) -> float | None:
    """r where the first step changes every output by r times what it should; None otherwise."""
    pairs = []
    for tried in probes:
        step = min((s for s in tried.wanted if s > 0), default=0)
        for name, wanted in tried.wanted.get(step, {}).items():
            if name not in tried.given:
                continue
            start = np.asarray(tried.given[name], np.float64)
            made = outputs(stack, program, tried)[step][name].reshape(wanted.shape)
            pairs.append((made - start, wanted - start))
    if not pairs or any(tried.wanted and min(tried.wanted) > 1 for tried in probes):
        return None
    made, wanted = (np.concatenate([p[i].ravel() for p in pairs]) for i in (0, 1))
    size = float(wanted @ wanted)
    ratio = float(made @ wanted) / size if size else 0.0
    rest = np.linalg.norm(made - ratio * wanted)
    return ratio if ratio and rest <= 1e-3 * np.linalg.norm(made) else None


def _factor(
    stack: BlockStack, found: Program, probes: list[Probe], number: int, head: int
) -> float | None:
    """The number in front of a head that brings the outputs nearest, by Gauss and Newton."""

    def gap(factor: float) -> np.ndarray:
        return _gap(stack, _scaled(found, number, head, factor), probes[:1])

    for start in _STARTS:
        factor = start
        for _ in range(_ROUNDS):
            here = gap(factor)
            slope = (gap(factor + _FACTOR) - here) / _FACTOR
            size = float(slope @ slope)
            if not np.isfinite(size) or size == 0.0:
                break
            move = float(slope @ here) / size
            factor -= move
            if abs(move) < 1e-9 * max(abs(factor), 1e-3):
                break
        if np.isfinite(factor) and np.linalg.norm(gap(factor)) < 1e-3:
            return factor
    return None


def _gap(stack: BlockStack, program: Program, probes: Sequence[Probe]) -> np.ndarray:
    """Outputs minus what they should be, each over the size of its changes."""
    parts = []
    for tried in probes:
        made = outputs(stack, program, tried)
        for step, wanted in tried.wanted.items():
            for name, value in wanted.items():
                size = max(tried.scale(name)[1], 1e-30)
                parts.append((made[step][name].reshape(value.shape) - value).ravel() / size)
    return np.concatenate(parts)


def _scaled(found: Program, number: int, head: int, factor: float) -> Program:
    layer = found.at(number)
    own = layer.head(head)
    return found.replaced(number, layer.with_head(head, own._replace(value=factor * own.value)))


def _moved(head: Layer, channels: int) -> Iterator[Layer]:
    """The head with one factor's weights, or its biases, or its result, in another place."""
    shifts: list[tuple[int, Callable[[], Layer]]] = []
    for factor, array in enumerate(head):
        for first, stop in ((0, channels), (channels, array.shape[1])):
            shifts += _shifts(head, factor, -2, first, stop)
    shifts += _shifts(head, _VALUE, -1, 0, channels)
    for _, make in sorted(shifts, key=lambda shift: shift[0]):
        yield make()


def _shifts(
    head: Layer, factor: int, axis: int, first: int, stop: int
) -> list[tuple[int, Callable[[], Layer]]]:
    """All moves of what stands between two places of a factor, by how far they go."""
    array = head[factor]
    used = np.flatnonzero(np.abs(np.moveaxis(array, axis, 0)[first:stop]).max(axis=(1, 2)) > 0)
    if not len(used):
        return []
    low, high = -int(used[0]), stop - first - 1 - int(used[-1])

    def make(by: int) -> Layer:
        moved = array.copy()
        view, source = np.moveaxis(moved, axis, 0), np.moveaxis(array, axis, 0)
        view[first:stop] = np.roll(source[first:stop], by, axis=0)
        return Layer(*(moved if i == factor else a for i, a in enumerate(head)))

    return [(abs(by), functools.partial(make, by)) for by in range(low, high + 1) if by]
