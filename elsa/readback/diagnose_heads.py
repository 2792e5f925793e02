"""One head beside the head that should stand there: what is another, in kind and in words.

A head is known by two matrices that no change of its inner basis changes, with its factors as
`diagnose_layers.Layer` has them: A = query key^T, and value, which trade a number with each other.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from elsa.prompts.layout import Box
from elsa.readback.diagnose_layers import Layer
from elsa.readback.diagnose_result import digits

REGULARISERS = ("lam", "ridge")  # blocks that hold lambda
GIVEN = "given "  # before the name of a block in the caller's place, where the stack moves it
ALIGNED = 1e-3  # part of a head that another number in front does not explain
_EMPTY = 1e-6  # part of the largest row or column below which one counts as zero


class Fault(NamedTuple):
    """Why a head is not the one that it should be.

    kind: "skip", "sign", "scale", "block", "lambda", "drift" or "weights".
    words: what it does, and what it should do.
    measured: name -> number.
    """

    kind: str
    words: str
    measured: Mapping[str, float]


class Names:
    """Channels and rows of a stack's prompt in words."""

    def __init__(self, boxes: Iterable[tuple[str, Box]], channels: int) -> None:
        self._boxes, self.channels = list(boxes), channels

    def words(self, indices: Iterable[int]) -> str:
        """Indices of a factor, channels first and rows behind them, in runs, blocks named."""
        found = sorted(indices)
        channels = [i for i in found if i < self.channels]
        rows = [i - self.channels for i in found if i >= self.channels]
        parts = []
        if channels:
            held = self._held(channels)
            parts.append(f"channels {_runs(channels)}" + (f" ({held})" if held else ""))
        if rows:
            parts.append(f"constant rows {_runs(rows)}")
        return " and ".join(parts) or "nothing"

    def words_of(self, box: Box) -> str:
        """A box in words."""
        rows, channels = (_runs(list(span)) for span in (box.rows, box.channels))
        return f"rows {rows} of channels {channels}"

    def regulariser(self) -> set[int]:
        """The channels of lambda alone."""
        lam: set[int] = set()
        others: set[int] = set()
        for name, box in self._boxes:
            is_lambda = name.removeprefix(GIVEN) in REGULARISERS
            (lam if is_lambda else others).update(box.channels)
        return lam - others

    def _held(self, channels: list[int]) -> str:
        own = set(channels)
        names = [name for name, box in self._boxes if own & set(box.channels)]
        return ", ".join(dict.fromkeys(names))


def tensors(
    head: Layer,
) -> tuple[Float[np.ndarray, "inputs inputs"], Float[np.ndarray, "inputs m"]]:
    """A and value of one head."""
    query, key, value = (array[0] for array in head)
    return query @ key.T, value


def explained(found: Layer, wanted: Layer, names: Names) -> Fault:
    """Why one head is not another."""
    (a, v), (b, w) = tensors(found), tensors(wanted)
    sizes = np.array([np.linalg.norm(m) for m in (a, v, b, w)])
    if not sizes[2] * sizes[3]:
        return Fault("weights", "does something, and should do nothing", {"scale": np.inf})
    if not sizes[0] * sizes[1]:
        return scaled(0.0)
    along = [np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in ((a, b), (v, w))]
    aligned = along[0] * along[1]
    ratio = np.sign(aligned) * sizes[0] * sizes[1] / (sizes[2] * sizes[3])
    if 1.0 - aligned**2 <= ALIGNED**2:
        return scaled(float(ratio))
    return _sides(a, v, b, w, names)


def scaled(ratio: float) -> Fault:
    """A head that is a number times the right one."""
    if ratio == 0:
        return Fault("scale", "does nothing: its factor is 0", {"scale": 0.0})
    if ratio < 0:
        size = "" if abs(abs(ratio) - 1.0) < ALIGNED else f", and {-ratio:.4g} times the size"
        return Fault("sign", f"has the wrong sign{size}", {"scale": ratio})
    return Fault("scale", f"is {digits(ratio)} times what it should be", {"scale": ratio})


def skip_fault(found: Layer, shape: tuple[int, int]) -> Fault:
    """Why a head does not return the prompt: how far the conditions on its arrays are missed.

    Bq Bk^T must be the identity of the rows and Wv that of the channels, or, where the prompt is
    taller than wide, Wq Bk^T Bv that of the channels; the other arrays must be zero. Hagiwara
    (arXiv:2503.23814), Property 3.
    """
    n, m = shape
    query, key, value = (array[0] for array in found)
    if n <= m:
        squares = {"Bq Bk^T = I": query[m:] @ key[m:].T, "Wv = I": value[:m]}
        zeros = {"Wq": query[:m], "Wk": key[:m], "Bv": value[m:]}
    else:
        squares = {"Wq Bk^T Bv = I": query[:m] @ (key[m:].T @ value[m:])}
        zeros = {"Bq": query[m:], "Wk": key[:m], "Wv": value[:m]}
    misses = {name: np.abs(square - np.eye(len(square))) for name, square in squares.items()}
    condition = max(misses, key=lambda name: float(misses[name].max()))
    largest = float(misses[condition].max())
    place = np.unravel_index(int(misses[condition].argmax()), misses[condition].shape)
    words = (
        f"does not return the prompt: the skip is no identity, {condition} is missed by "
        f"{largest:.3g} at entry {place[0]}, {place[1]}"
    )
    if largest < _EMPTY:  # the conditions hold: what must be zero beside them is not
        largest, name = max((float(np.abs(part).max()), name) for name, part in zeros.items())
        words = (
            f"does not return the prompt: the skip is no identity, {name} must be zero and has "
            f"entries up to {largest:.3g}"
        )
    return Fault("skip", words, {"largest departure": largest})


def _sides(a: np.ndarray, v: np.ndarray, b: np.ndarray, w: np.ndarray, names: Names) -> Fault:
    """The factors that are others, one after the other: queries, keys, values, what is written."""
    sides = (
        ("its queries read", a, b, 1),
        ("its keys read", a, b, 0),
        ("its values read", v, w, 1),
        ("it writes", v, w, 0),
    )
    said, kinds = [], []
    for verb, found, wanted, axis in sides:
        has, wants = _support(found, axis), _support(wanted, axis)
        if has == wants:
            continue
        said.append(f"{verb} {names.words(has)} instead of {names.words(wants)}")
        kinds.append(_kind(verb, has, wants, v, w, names))
    if said:
        kind = "lambda" if "lambda" in kinds else "block"
        return Fault(kind, "; ".join(said), {"overlap": _cosine(a, b) * _cosine(v, w)})
    return _same_places(a, v, b, w, names)


def _kind(
    verb: str, has: set[int], wants: set[int], v: np.ndarray, w: np.ndarray, names: Names
) -> str:
    """Whether it is lambda that is read at a wrong place."""
    lam = names.regulariser()
    if verb not in ("its keys read", "its values read"):
        return "block"
    values = _support(w, 1)
    moved = (has ^ wants) & lam
    pairs = verb == "its keys read" and bool(values) and values <= lam
    return "lambda" if moved or pairs else "block"


def _same_places(a: np.ndarray, v: np.ndarray, b: np.ndarray, w: np.ndarray, names: Names) -> Fault:
    """Heads that read and write the same places, and do another thing with them."""
    for verb, found, wanted, axis in (
        ("queries", a, b, 1),
        ("keys", a, b, 0),
        ("values", v, w, 1),
        ("columns written", v, w, 0),
    ):
        first, second = (m if axis == 1 else m.T for m in (found, wanted))
        ratios = _row_ratios(first, second)
        if ratios is not None and np.ptp(ratios) > ALIGNED:
            places = np.flatnonzero(np.linalg.norm(second, axis=1))
            usual = np.median(ratios)
            own = places[np.abs(ratios - usual) > ALIGNED * abs(usual)]
            share = ratios / usual
            worst = float(share[np.abs(share - 1.0).argmax()])
            kind = "sign" if abs(worst + 1.0) < ALIGNED else "scale"
            how = "the wrong sign" if kind == "sign" else f"{worst:.4g} times their size"
            return Fault(kind, f"its {verb} have {how} at {names.words(own)}", {"scale": worst})
        if _reordered(first, second):
            own = np.flatnonzero(np.abs(first - second).max(axis=1) > _EMPTY * np.abs(second).max())
            words = f"its {verb} take {names.words(own)} in another order"
            return Fault("block", words, {"overlap": _cosine(first, second)})
    return Fault(
        "weights",
        "reads and writes the right places with other weights",
        {"overlap": _cosine(a, b) * _cosine(v, w)},
    )


def _row_ratios(found: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Number in front of each row that is not zero, where the rows are multiples; else None."""
    own = np.linalg.norm(wanted, axis=1) > 0
    found, wanted = found[own], wanted[own]
    ratios: np.ndarray = (found * wanted).sum(axis=1) / (wanted**2).sum(axis=1)
    rest = found - ratios[:, None] * wanted
    return ratios if np.abs(rest).max() <= ALIGNED * np.abs(found).max() else None


def _reordered(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether the rows are the same in another order."""
    size = np.abs(wanted).max()
    rows = [np.round(m / size, 3) + 0.0 for m in (found, wanted)]
    first, second = (m[np.lexsort(m.T[::-1])] for m in rows)
    return bool(np.allclose(first, second, atol=2e-3))


def _support(matrix: np.ndarray, axis: int) -> set[int]:
    """The rows (axis 1) or columns (axis 0) that are not zero."""
    size = np.linalg.norm(matrix, axis=axis)
    return set(np.flatnonzero(size > _EMPTY * size.max()).tolist())


def _cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    sizes = np.linalg.norm(found) * np.linalg.norm(wanted)
    return float(np.vdot(found, wanted) / sizes) if sizes else 0.0


def _runs(indices: list[int]) -> str:
    """1, 2, 3, 7 as 1..3, 7."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in runs)
