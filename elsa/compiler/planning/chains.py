"""Chains: products of data factors with constants between them, and their scalar multiples.

A chain is C0 A1 C1 A2 ... Ak Ck with data factors Ai (a leaf or a value that is kept, perhaps
transposed) and constants Ci between them (None for the identity).
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from elsa.compiler.tracing.graph import Ref


class Chain(NamedTuple):
    """C0 A1 C1 ... Ak Ck; `consts` has one entry more than `factors`, None for the identity."""

    consts: tuple[Ref | None, ...]
    factors: tuple[Ref, ...]

    @property
    def shape(self) -> tuple[int, int]:
        first, last = self.consts[0], self.consts[-1]
        rows = first.shape[0] if first is not None else self.factors[0].shape[0]
        columns = last.shape[1] if last is not None else self.factors[-1].shape[1]
        return rows, columns

    @property
    def T(self) -> "Chain":  # noqa: N802, as in NumPy
        return Chain(
            tuple(const.T if const is not None else None for const in reversed(self.consts)),
            tuple(factor.T for factor in reversed(self.factors)),
        )

    @property
    def bare(self) -> bool:
        """True for a single factor without constants."""
        return len(self.factors) == 1 and self.consts == (None, None)

    def part(self, start: int, stop: int, left: Ref | None, right: Ref | None) -> "Chain":
        """Factors start..stop with their inner constants and the given outer ones."""
        inner = self.consts[start + 1 : stop]
        return Chain((left, *inner, right), self.factors[start:stop])


def bare(ref: Ref) -> Chain:
    return Chain((None, None), (ref,))


@dataclasses.dataclass(frozen=True, eq=False)
class Monomial:
    """coefficient [variants] times the scalars (1 x 1 chains) times the chain."""

    coefficient: np.ndarray
    chain: Chain
    scalars: tuple[Chain, ...] = ()

    @property
    def T(self) -> "Monomial":  # noqa: N802, as in NumPy
        return Monomial(self.coefficient, self.chain.T, self.scalars)


def width_one(chain: Chain) -> tuple[int, bool] | None:
    """A place where the chain has width 1: the index of a constant, and whether before it."""
    if chain.shape[1] == 1:
        return len(chain.factors), False
    for index in range(len(chain.factors), -1, -1):
        const = chain.consts[index]
        if index < len(chain.factors):
            after = chain.factors[index].shape[0]
            if after == 1:
                return index, False
        before = const.shape[0] if const is not None else None
        if before == 1:
            return index, True
    return None


def first_constant(chain: Chain) -> Ref:
    """The constant at the head of a chain that is known to have one."""
    first = chain.consts[0]
    assert first is not None
    return first


def order(chain: Chain) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    return tuple((f.node.uid, f.flipped) for f in chain.factors), tuple(
        const.node.uid if const else -1 for const in chain.consts
    )
