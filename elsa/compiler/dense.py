"""The dense weights of symbolic heads, as a stack of layers."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from elsa.compiler.emitting.symbolic import Heads
from elsa.heads.head import Head, HeadWeights, Term, num_parameters, stack_dense
from elsa.heads.products import skip as skip_head
from elsa.nn.layers import ELSA
from elsa.nn.stack import Stack

MAX_BYTES = 256e6  # of dense weights that are made unless execution="dense" asks for more

_NOTHING = (Term("channels", range(1), np.zeros((1, 1))),)
IDLE = Head("nothing", _NOTHING, _NOTHING, _NOTHING, range(1))


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """The dense weights of symbolic heads in a dtype: counted without being made."""

    heads: Heads
    dtype: np.dtype

    @property
    def layers(self) -> list[tuple[Head, ...]]:
        """The heads that have weights but for skip heads, an idle one where there are no steps."""
        layers = self.heads.layers
        return list(layers if self.heads.plan.schedule.step else (*layers, (IDLE,)))

    @property
    def num_parameters(self) -> int:
        """Entries as stored, one set for a tied step."""
        shape, skip = self.heads.placed.shape, self._skip
        return sum(num_parameters((*heads, *skip), shape) for heads in self.layers)

    @property
    def num_nonzeros(self) -> int:
        """Entries that are not zero."""
        return sum(self._filled(heads) for heads in self.layers)

    @property
    def num_bytes(self) -> int:
        """Of all entries, or, where they alone are more than `MAX_BYTES`, of one head's values."""
        rows, channels = self.heads.placed.shape
        least = (rows + channels) * channels * self.dtype.itemsize
        return least if least > MAX_BYTES else self.dtype.itemsize * self.num_parameters

    @property
    def _skip(self) -> tuple[Head, ...]:
        return (skip_head(self.heads.placed.shape),) if self.heads.skip == "head" else ()

    def _filled(self, heads: Sequence[Head]) -> int:
        return sum(head.num_nonzeros(self.dtype) for head in (*heads, *self._skip))

    def stack(self) -> Stack:
        """Load layer and prologue, the step's layers `depth` times, the epilogue."""
        plan, layers = self.heads.plan, self.heads.layers
        shape, (first, last) = self.heads.placed.shape, self.heads.parts
        end, period = len(layers) - last, len(plan.schedule.step)

        def emit(heads: Sequence[Head]) -> ELSA:
            return ELSA.from_heads(heads, shape, dtype=self.dtype)

        def step(place: int) -> ELSA:
            repeated = layers[first + place : end : period]
            if plan.variants == 1:
                return emit(repeated[0])
            weights = [stack_dense(heads, shape) for heads in repeated]
            stacked = HeadWeights(*(np.stack(arrays) for arrays in zip(*weights, strict=True)))
            return ELSA.from_weights(stacked, dtype=self.dtype)

        body = [step(place) for place in range(period)]
        return Stack(
            body or [emit((IDLE,))],
            plan.schedule.depth if body else 0,
            tied=plan.variants == 1 or not body,
            prologue=[emit(heads) for heads in layers[:first]],
            epilogue=[emit(heads) for heads in layers[end:]],
            skip=self.heads.skip,
        )

    def __str__(self) -> str:
        """Shapes of the arrays of each layer, and how many of their entries are not zero."""
        n, m = self.heads.placed.shape
        lines = [
            f"{self.dtype}: {self.num_parameters} parameters stored, {self.num_nonzeros} not zero"
        ]
        for title, layer_heads in zip(*self.heads.once(), strict=True):
            heads = (*layer_heads, *self._skip)
            k, p = len(heads), max(head.key_size for head in heads)
            lines.append(
                f"  {title}: wq, wk {[k, m, p]}, wv {[k, m, m]}, bq, bk {[k, n, p]}, "
                f"bv {[k, n, m]}; {self._filled(layer_heads)} not zero"
            )
        return "\n".join(lines)


def placeholder(dtype: np.dtype) -> Stack:
    """What stands for weights that are too large: it shows whether the stack is traced."""
    return Stack([ELSA.from_heads((IDLE,), (1, 1), dtype=dtype)], 0)
