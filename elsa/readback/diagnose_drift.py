"""Weights that are all off by a little: by rounding, or as training or noise moves them."""

from collections.abc import Mapping, Sequence

import numpy as np

from elsa.readback.diagnose_departures import Departure, alike, first_run
from elsa.readback.diagnose_heads import Fault, tensors
from elsa.readback.diagnose_layers import Layer, Program
from elsa.readback.diagnose_reference import Probe

_ROUNDED = 4.0 * float(np.finfo(np.float32).eps)  # three factors, each rounded once
_LITTLE = 0.5  # relative distance up to which a head is the one that was moved
_MANY = 0.75  # share of the heads


def rounded(
    found: Program, sound: Program, probes: Sequence[Probe], rounds: int
) -> Mapping[str, float] | None:
    """How far layers are off that are a sound program's in float32; None where they are not.

    The number is relative, of what a layer adds: of the one farthest off. Every head must be as
    near, so that a small one may not be wrong, unless heads were split.
    """
    worst = 0.0
    for number, layer in found.distinct():
        pairs = _pairs(layer, sound.at(number))
        if any(not _distances(own, wanted)[0] <= _ROUNDED for own, wanted in pairs or ()):
            return None
    for one in probes:
        h = one.prompt
        for number, layer in found.order(rounds):
            wanted = sound.at(number)
            gap = np.linalg.norm(layer.contributions(h).sum(0) - wanted.contributions(h).sum(0))
            size = np.linalg.norm(wanted.sizes(h).sum(0))
            if not gap <= _ROUNDED * size:
                return None
            worst = max(worst, float(gap / size) if size else 0.0)
            h = found.after([layer], h)
    return {"error": worst}


def drifted(found: Program, sound: Program) -> Departure | None:
    """Most heads moved a little, and not along themselves; the one farthest off, or None."""
    moved, count = [], 0
    for number, layer in found.distinct():
        pairs = _pairs(layer, sound.at(number))
        if pairs is None:
            return None
        count += layer.num_heads
        for head, (own, wanted) in enumerate(pairs):
            distance, across = _distances(own, wanted)
            if distance > _LITTLE:
                return None
            if across > _ROUNDED:
                moved.append((distance, number, head))
    if len(moved) < 2 or len(moved) < _MANY * count:
        return None
    sizes = [distance for distance, _, _ in moved]
    largest, number, head = max(moved)
    words = (
        f"{len(moved)} of {count} heads have moved a little, by {min(sizes):.3g} to {largest:.3g} "
        f"of their size; head {head} of layer {first_run(found, number)} the most"
    )
    measured = {"smallest": min(sizes), "largest": largest}
    return Departure(first_run(found, number), head, Fault("drift", words, measured))


def _pairs(layer: Layer, wanted: Layer) -> list[tuple[Layer, Layer]] | None:
    """Each head and the one that it is most like; None for other numbers of heads."""
    if layer.num_heads != wanted.num_heads:
        return None
    left, pairs = list(range(wanted.num_heads)), []
    for head in range(layer.num_heads):
        shares = {j: alike(layer, head, wanted, j) for j in left}
        near = max(left, key=lambda j: (shares[j], j == head))
        left.remove(near)
        pairs.append((layer.head(head), wanted.head(near)))
    return pairs


def _distances(found: Layer, wanted: Layer) -> tuple[float, float]:
    """Of A (x) V relative to the wanted one: the whole, and what no number in front explains.

    The number that A and V trade is taken where V is nearest; then no difference cancels.
    """
    (a, v), (b, w) = tensors(found), tensors(wanted)
    sizes = float(np.vdot(b, b)), float(np.vdot(w, w))
    if not sizes[0] * sizes[1]:
        return (np.inf if np.any(a) and np.any(v) else 0.0), 0.0
    trade = float(np.vdot(v, w)) / sizes[1]
    if not trade:
        return np.inf, np.inf
    moved_a, moved_v = trade * a - b, v / trade - w  # the second is across w
    along = float(np.vdot(moved_a, b)) / sizes[0]
    across_a = float(np.linalg.norm(moved_a - along * b)) / sizes[0] ** 0.5
    across_v = float(np.linalg.norm(moved_v)) / sizes[1] ** 0.5
    # A (x) V = ((1 + along) B + across_a) (x) (W + across_v)
    across = np.hypot(across_a, np.hypot(1.0 + along, across_a) * across_v)
    return float(np.hypot(along, across)), float(across)
