"""Terms of a sum that are free of rounding, and the place of a value whose terms are separated."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from elsa.compiler.planning.places import places_only
from elsa.compiler.tracing import constants
from elsa.compiler.tracing.graph import Ref, constant_of

SAME_SIZE = 8.0  # times the outer term, up to which an inner one is of its size


def _turned(
    left: tuple[Ref, ...], right: tuple[Ref, ...]
) -> tuple[tuple[Ref, ...], tuple[Ref, ...]]:
    """The constants left and right of a value's transpose."""
    return tuple(c.T for c in reversed(right)), tuple(c.T for c in reversed(left))


class Term(NamedTuple):
    """left[0] left[1] ... value ... right[-1], with constants around a value."""

    value: Ref
    left: tuple[Ref, ...] = ()
    right: tuple[Ref, ...] = ()

    @property
    def T(self) -> "Term":  # noqa: N802, as in NumPy
        return Term(self.value.T, *_turned(self.left, self.right))

    def between(self, left: tuple[Ref, ...], right: tuple[Ref, ...]) -> "Term":
        return Term(self.value, left + self.left, self.right + right)


Terms = dict[Term, np.ndarray]


class Context(NamedTuple):
    """Where a value stands in a sum or a multiple that would take its terms apart.

    coefficient, left, right: what it is multiplied by there.
    block: the block that this goes into, whose size errors are measured by.
    outer: what is added to it in the outermost sum, and the block.
    lossy: whether something is added to it, or multiplies it with rounding.
    outermost: whether it is the outermost sum itself, or a multiple of it.
    """

    coefficient: np.ndarray
    left: tuple[Ref, ...]
    right: tuple[Ref, ...]
    block: Terms
    outer: Terms
    lossy: bool
    outermost: bool

    @property
    def T(self) -> "Context":  # noqa: N802, as in NumPy
        block, outer = ({t.T: c for t, c in terms.items()} for terms in (self.block, self.outer))
        left, right = _turned(self.left, self.right)
        return self._replace(left=left, right=right, block=block, outer=outer)

    def hides(self, term: Term, coefficient: np.ndarray) -> bool:
        """Whether an outer term has the size of the inner one."""
        here = self.outer.get(term.between(self.left, self.right))
        size = np.abs(coefficient * self.coefficient)
        return here is not None and bool(np.all(size <= SAME_SIZE * np.abs(here)))


ALONE = Context(np.ones(1), (), (), {}, {}, lossy=False, outermost=True)


def may_be_exact(term: Term, terms: Collection[Term]) -> bool:
    """False for a product of data, but where another term is its factor, or shares it."""
    factors = _factors(term)
    if len(factors) < 2:
        return True
    for other in terms:
        shared = _factors(other)
        if other != term and (
            (len(shared) == 1 and shared[0] in factors)
            or (len(shared) == 2 and any(a == b for a, b in zip(factors, shared, strict=True)))
        ):
            return True
    return False


def _factors(term: Term) -> list[Ref]:
    """The two factors of a product, or the value itself."""
    node, flipped = term.value
    if node.kind not in ("mul", "scale"):
        return [term.value]
    parts = [part.T if flipped else part for _, part in node.parts]
    return parts[::-1] if flipped else parts


def only_moves(constant: Ref, *, first: bool) -> bool:
    """Whether a product with the constant only moves entries, to other places or powers of two."""
    return places_only(constant, first=first) and constants.is_exact_factor(constant_of(constant))
