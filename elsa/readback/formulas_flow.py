"""Which entries of the prompt hold something before a layer, and which results are read after it.

What lies in no entry that was filled makes no monomial, and what no output reads is no part of the
program: a trained layer writes to every entry of its prompt, and is answered for by few.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import Box
from elsa.readback.polynomial import Mask, Polynomial

Dependence = Bool[np.ndarray, "n m n m"]


class Flow(NamedTuple):
    """Masks of one layer, for a repeated one of all times that it runs.

    live: entries of the prompt before it that may be other than 0.
    read: entries of what it adds that are filled, and that an output depends on.
    """

    live: Mask
    read: Mask


class Run(NamedTuple):
    """How often layers run in a row: their numbers among those that have weights of their own."""

    layers: range
    times: int


def flows(stack: BlockStack, polynomials: Sequence[Polynomial]) -> list[Flow]:
    """Of each layer that has weights of its own, as `layer_polynomials` lists them.

    Coefficients below eps^(3/4) of a layer's largest, eps of the stack's dtype, count as 0: they
    are what rounding leaves of heads that cancel.
    """
    least = float(np.finfo(stack.dtype).eps) ** 0.75
    order, count, shape = runs(stack), len(polynomials), stack.readout.shape
    live = _of_blocks(shape, stack.layout.blocks.values())
    before, read = ([np.zeros(shape, bool) for _ in range(count)] for _ in range(2))

    def forward(index: int, live: Mask) -> Mask:
        before[index] = before[index] | live
        depends, constant = dependence(polynomials[index], live, least)
        return np.asarray(live | depends.any(axis=(2, 3)) | constant)

    for run in order:
        live = _until_it_stays(run, run.layers, forward, live)

    def backward(index: int, needed: Mask) -> Mask:
        depends, constant = dependence(polynomials[index], before[index], least)
        read[index] = read[index] | (needed & (depends.any(axis=(2, 3)) | constant))
        return np.asarray(needed | depends[needed].any(axis=0))

    needed = _of_blocks(shape, (stack.readout.box(name) for name in stack.outputs))
    for run in reversed(order):
        needed = _until_it_stays(run, run.layers[::-1], backward, needed)
    return [Flow(*pair) for pair in zip(before, read, strict=True)]


def dependence(
    polynomial: Polynomial, live: Mask, least: float
) -> tuple[Dependence, Bool[np.ndarray, "n m"]]:
    """Which entries of the prompt, [.., n, m], each entry of the result depends on, [n, m, ..].

    Args:
      polynomial: of the layer.
      live: entries of the prompt that are not 0.
      least: coefficients at or below this share of the largest count as 0.

    Returns:
      The dependence, and where a constant is added.
    """
    parts = [part.value for part in polynomial.parts(live)]
    largest = max((float(np.abs(value).max(initial=0.0)) for value in parts), default=0.0)
    there = live.astype(np.float64)
    cubic, cubed, of_rows, with_rows, squared, moved, in_place, constant = (
        (np.abs(value) > least * largest).astype(np.float64) for value in parts
    )
    n = len(live)
    by_asker = np.einsum("ia,abco->ibco", there, cubic, optimize=True) + of_rows
    on_others = np.einsum("ibco,jc->iojb", by_asker, there, optimize=True)
    on_others += np.einsum("ia,ajco->iojc", there, with_rows, optimize=True)
    on_others += moved.transpose(0, 3, 1, 2)
    on_others *= 1.0 - np.eye(n)[:, None, :, None]
    own = np.einsum("ico->ioc", in_place) + np.einsum("ibco,ib->ioc", squared, there)
    own += np.einsum("abco,ia,ib->ioc", cubed, there, there, optimize=True)
    meeting = (there.T @ there)[None] - there[:, :, None] * there[:, None, :]
    own += np.einsum("ibc,abco->ioa", meeting, cubic, optimize=True)
    filled = np.einsum("jc,ajco->jao", there, with_rows, optimize=True)
    own += (filled.sum(axis=0)[None] - filled).swapaxes(1, 2)
    on_others[np.arange(n), :, np.arange(n)] = own
    return on_others * there > 0, constant > 0


def runs(stack: BlockStack) -> list[Run]:
    inner = stack.stack
    first, size, last = len(inner.prologue), len(inner.body), len(inner.epilogue)
    times = inner.depth if inner.tied else 1
    end = first + (size if inner.tied else size * inner.depth)
    spans = (range(first), 1), (range(first, end), times), (range(end, end + last), 1)
    return [Run(*span) for span in spans]


def _until_it_stays(
    run: Run, layers: Sequence[int], step: Callable[[int, Mask], Mask], mask: Mask
) -> Mask:
    """The mask after all times that the layers run."""
    for _ in range(run.times):
        before = mask
        for index in layers:
            mask = step(index, mask)
        if np.array_equal(mask, before):
            break
    return mask


def _of_blocks(shape: tuple[int, int], boxes: Iterable[Box]) -> Mask:
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box.row : box.rows.stop, box.col : box.channels.stop] = True
    return mask
