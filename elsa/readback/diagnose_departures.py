"""The first layer of a stack that does another thing than a sound stack's, and its first head."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elsa.readback.diagnose_heads import Fault, Names, explained, scaled, skip_fault, tensors
from elsa.readback.diagnose_layers import Layer, Program
from elsa.readback.diagnose_reference import Probe

_ROUNDINGS = 100.0  # of the dtype that count as none, relative to sums of absolute values
_SHARE = 1e-6  # part of what a head adds by which it may miss a multiple


class Departure(NamedTuple):
    """A layer, under the number at which its weights run first, a head of it, and why.

    in_place: False where the head does, or should do, what is listed as another one.
    """

    layer: int
    head: int
    fault: Fault
    in_place: bool = True


def first_departure(
    found: Program,
    sound: Program,
    probes: Sequence[Probe],
    *,
    rounds: int,
    eps: float,
    names: Names,
) -> Departure | None:
    """Where a program first adds to the same prompts something else than a sound one; or None."""
    prompts = [probe.prompt for probe in probes]
    for number, layer in found.order(rounds):
        wanted = sound.at(number)
        with np.errstate(all="ignore"):
            if _differ(layer, wanted, prompts, eps):
                head, other, fault = _first_head(layer, wanted, prompts, eps, names, found.residual)
                return Departure(first_run(found, number), head, fault, head == other)
            prompts = [found.after([layer], h) for h in prompts]
        prompts = [h for h in prompts if np.isfinite(h).all()]
        if not prompts:
            return None
    return None


def first_run(program: Program, number: int) -> int:
    """The number at which the weights of a layer run first."""
    inside = number - len(program.prologue)
    if program.tied and 0 <= inside < program.depth * program.period:
        return len(program.prologue) + inside % program.period
    return number


def _differ(layer: Layer, wanted: Layer, prompts: Sequence[np.ndarray], eps: float) -> bool:
    for h in prompts:
        gap = np.abs(layer.contributions(h).sum(0) - wanted.contributions(h).sum(0))
        room = _ROUNDINGS * eps * (layer.sizes(h).sum(0) + wanted.sizes(h).sum(0))
        if not (gap <= room + np.finfo(np.float32).tiny).all():
            return True
    return False


def _first_head(
    layer: Layer,
    wanted: Layer,
    prompts: Sequence[np.ndarray],
    eps: float,
    names: Names,
    residual: bool,
) -> tuple[int, int, Fault]:
    """The first head that no head of the sound layer is, the one that it should be, and why."""
    added, room = _flat(layer, prompts, eps)
    asked, asked_room = _flat(wanted, prompts, eps)

    def equal(i: Sequence[int], j: int) -> bool:
        gap = np.abs(added[list(i)].sum(0) - asked[j])
        return bool((gap <= room[list(i)].sum(0) + asked_room[j]).all())

    left, missing = list(range(layer.num_heads)), list(range(wanted.num_heads))
    same = [(i, j) for i in left for j in missing if equal([i], j)]
    # Other heads may add the same to these prompts: those of the same weights belong together.
    for i, j in sorted(
        same, key=lambda p: (-round(alike(layer, p[0], wanted, p[1]), 6), p[0] != p[1])
    ):
        if i in left and j in missing:
            left.remove(i)
            missing.remove(j)
    for j in list(missing):  # a head that was split
        shares = [i for i in left if _multiple(added[i], asked[j])]
        if len(shares) > 1 and equal(shares, j):
            left = [i for i in left if i not in shares]
            missing.remove(j)
            continue
        pairs = [(i, k) for i in left for k in left if i < k and equal([i, k], j)]
        if pairs:
            left = [i for i in left if i not in pairs[0]]
            missing.remove(j)
    skips = not residual
    if not left:
        return (
            missing[0],
            missing[0],
            Fault("weights", "is missing: no head does what it should", {}),
        )
    head = left[0]
    if not missing:
        return head, head, Fault("weights", "adds something that no head of the step adds", {})
    other = head if head in missing else max(missing, key=lambda j: alike(layer, head, wanted, j))
    if skips and other == wanted.num_heads - 1:
        return head, other, skip_fault(layer.head(head), prompts[0].shape)
    shares = [i for i in left if _multiple(added[i], asked[other])]
    if len(shares) > 1:
        return shares[0], other, _shared(shares, added[shares].sum(0), asked[other])
    return head, other, explained(layer.head(head), wanted.head(other), names)


def _multiple(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether what a head adds is a number times what another one does."""
    size = float(wanted @ wanted)
    share = float(found @ wanted) / size if size else 0.0
    rest = np.linalg.norm(found - share * wanted)
    return bool(share and rest <= _SHARE * np.linalg.norm(found))


def _shared(heads: Sequence[int], found: np.ndarray, wanted: np.ndarray) -> Fault:
    """Heads that share what one head should do, and do not add up to it."""
    fault = scaled(float(found @ wanted) / float(wanted @ wanted))
    rest = ", ".join(map(str, heads[1:]))
    words = f"shares with head{'s' if len(heads) > 2 else ''} {rest} what one should do: the sum "
    return fault._replace(words=words + fault.words)


def _flat(layer: Layer, prompts: Sequence[np.ndarray], eps: float) -> tuple[np.ndarray, np.ndarray]:
    """What each head adds, over all prompts in a row, and the rounding that it may have."""
    added = [layer.contributions(h).reshape(layer.num_heads, -1) for h in prompts]
    sizes = [layer.sizes(h).reshape(layer.num_heads, -1) for h in prompts]
    return np.concatenate(added, 1), _ROUNDINGS * eps * np.concatenate(sizes, 1)


def alike(layer: Layer, i: int, wanted: Layer, j: int) -> float:
    """How much two heads have in common, from 0 to 1."""
    pairs = zip(tensors(layer.head(i)), tensors(wanted.head(j)), strict=True)
    share = 1.0
    for found, other in pairs:
        size = float(np.linalg.norm(found) * np.linalg.norm(other))
        share *= abs(float(np.vdot(found, other))) / size if size else 0.0
    return share
