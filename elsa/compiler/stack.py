"""The compiled step: an NNX module that runs as attention layers, or as the same products alone."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.compiler.emitting import structured
from elsa.compiler.emitting.program import Program
from elsa.compiler.emitting.slots import readout
from elsa.compiler.listing import listing
from elsa.compiler.verifying import largest_error
from elsa.heads.head import Head, HeadWeights, Term, num_parameters, stack_dense
from elsa.heads.products import skip as skip_head
from elsa.nn.block_stack import BlockStack
from elsa.nn.layers import ELSA
from elsa.nn.stack import Stack

EXECUTIONS = ("structured", "dense")


@functools.partial(jax.jit, static_argnames=("program", "trace"))
def _structured(
    program: Program, blocks: dict[str, Array], trace: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    env = {program.places[name]: block for name, block in blocks.items()}
    return structured.run(program.schedule, env, program.outputs, trace=trace)


_NOTHING = (Term("channels", range(1), np.zeros((1, 1))),)
_IDLE = Head("nothing", _NOTHING, _NOTHING, _NOTHING, range(1))


class CompiledStack(nnx.Module):
    """A step as a stack of extended linear self-attention layers, made by `elsa.compile`.

    `stack(**blocks)` takes every input of the step and returns the updated blocks after `depth`
    steps. "structured" execution computes the heads' products on the blocks themselves; "dense"
    runs the layers' weight matrices on the whole prompt. Both agree to rounding.

    Attributes:
      layout: where the inputs lie in the caller's prompt.
      readout: where the outputs lie in the stack's prompt after the last layer, which may have more
        rows and channels than the caller's, appended as zeros.
      execution: "structured" or "dense".
      depth: how often the step runs.
    """

    def __init__(self, program: Program, depth: int, execution: str, dtype: np.dtype) -> None:
        self.program = program
        self.depth, self.execution, self.dtype = depth, execution, dtype
        self.layout = program.layout
        self.readout = readout(program.slots, program.outputs)
        if execution == "dense":
            self.dense = self._dense()

    def __call__(self, /, **blocks: Float[ArrayLike, "..."]) -> dict[str, Array]:
        """The step's outputs after `depth` steps; one task, `jax.vmap` for a batch.

        1-D arrays act as columns and come back as they came; numbers act as 1 x 1.

        Raises:
          KeyError: for a block that is no input. ValueError: for a missing one, a wrong shape, or
          NaN or infinity in a concrete array.
        """
        given = self._given(blocks)
        if self.execution == "structured":
            out, _ = _structured(self.program, given, False)
        else:
            h = self.dense.run(self.dense.pack(**given))
            out = self.readout.unpack(h)
        return self._shaped(out, blocks)

    def trajectory(self, /, **blocks: Float[ArrayLike, "..."]) -> dict[str, Array]:
        """The outputs after every step, [depth + 1, ...], the input first; structured execution."""
        given = self._given(blocks)
        _, seen = _structured(self.program, given, True)
        out = {}
        for name in self.program.outputs:
            later = seen.get(name, jnp.zeros((0, *given[name].shape), self.dtype))
            later = (
                later
                if self.program.schedule.depth
                else jnp.repeat(given[name][None], self.depth, 0)
            )
            out[name] = jnp.concatenate([given[name][None], later])
        return self._shaped(out, blocks)

    def from_prompt(self, h: Float[ArrayLike, "n m"]) -> dict[str, Array]:
        """The outputs for a prompt of the caller's; what lies outside the blocks is ignored.

        Raises:
          ValueError: where the prompt has not the shape of `layout`.
        """
        if self.execution == "structured" or not self.program.moves:
            return self(**self.layout.unpack(h))
        self.layout.unpack(h)  # the check of the shape
        checks.finite("from_prompt", h=h)
        checks.in_range("from_prompt", self.dtype, h=h)
        return self.readout.unpack(self.dense.run(self.dense.padded(jnp.asarray(h))))

    @exact
    def verify(self, key: Array, /, **blocks: Float[ArrayLike, "..."]) -> float:
        """The largest error of a block against the step itself, applied `depth` times.

        max |out - ref| over the largest magnitude the reference block has had at any step, the
        input included; the step is evaluated in the stack's dtype. Blocks that are not given are
        drawn: normal, divided by sqrt(rows) + sqrt(columns), so that their norms are about 1, and
        then scaled: the largest error is that of norm 1, of the largest norm at which the step's
        blocks stay bounded, where rounding shows most, and of a sixteenth of it.

        Raises:
          KeyError: for a block that is no input.
          TypeError: for a key that is none, under jit, vmap or grad, for blocks without numbers.
          ValueError: for a block of another shape or with NaN, and where the reference itself is
            not finite, naming block and step.
        """
        return largest_error(self.program, self.depth, self.dtype, self, key, blocks)

    # Counts and weights.

    @property
    def layers(self) -> tuple[tuple[Head, ...], ...]:
        """Symbolic heads: load layer, prologue, the layers of every different step, epilogue."""
        return self.program.layers

    @property
    def num_layers(self) -> int:
        """Layers that run: load layer, prologue, depth times the step, epilogue."""
        return self.program.schedule.num_layers + bool(self.program.moves)

    @property
    def layers_per_step(self) -> int:
        """Layers that one more step adds."""
        return len(self.program.schedule.step)

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, skip heads included."""
        first, last = self.program.parts
        counts = [len(heads) + (self.program.skip == "head") for heads in self.layers]
        repeats = self.program.schedule.depth // max(self.program.variants, 1)
        end = len(counts) - last
        return sum(counts[:first]) + repeats * sum(counts[first:end]) + sum(counts[end:])

    @property
    def num_parameters(self) -> int:
        """Entries of the dense weights as stored, one set for a tied step."""
        return sum(num_parameters(layer, self.program.slots.shape) for layer in self._stored)

    @property
    def num_nonzeros(self) -> int:
        """Entries of the dense weights that are not zero."""
        return sum(head.num_nonzeros(self.dtype) for layer in self._stored for head in layer)

    @property
    def _stored(self) -> list[tuple[Head, ...]]:
        """The heads whose dense weights are kept: skip heads too, and an idle one for no steps."""
        layers = self.layers if self.program.schedule.step else (*self.layers, (_IDLE,))
        skip = (skip_head(self.program.slots.shape),) if self.program.skip == "head" else ()
        return [(*layer, *skip) for layer in layers]

    @property
    def weights(self) -> tuple[HeadWeights, ...]:
        """Dense weights, six arrays a layer, padded to the layer's own inner size.

        One entry for each of load layer, prologue, the step's layers and epilogue; the step's have
        one more axis in front, of length depth, where the step's numbers depend on t. Made when
        asked for, unless execution is dense.
        """
        return self.block_stack.weights

    @property
    def block_stack(self) -> BlockStack:
        """The layers with their dense weights between `layout` and `readout`.

        Made when asked for, unless execution is dense.
        """
        return self.dense if self.execution == "dense" else self._dense()

    def _dense(self) -> BlockStack:
        program, shape = self.program, self.program.slots.shape
        first, last = program.parts
        layers = program.layers
        end = len(layers) - last
        period = len(program.schedule.step)

        def emit(heads: tuple[Head, ...]) -> ELSA:
            return ELSA.from_heads(heads, shape, dtype=self.dtype)

        def step(place: int) -> ELSA:
            own = layers[first + place : end : period]
            weights = [stack_dense(heads, shape) for heads in own]
            if program.variants == 1:
                return ELSA.from_weights(weights[0], dtype=self.dtype)
            stacked = HeadWeights(*(np.stack(arrays) for arrays in zip(*weights, strict=True)))
            return ELSA.from_weights(stacked, dtype=self.dtype)

        body = [step(place) for place in range(period)]
        stack = Stack(
            body or [emit((_IDLE,))],
            program.schedule.depth if body else 0,
            tied=program.variants == 1 or not body,
            prologue=[emit(heads) for heads in layers[:first]],
            epilogue=[emit(heads) for heads in layers[end:]],
            skip=program.skip,
        )
        return BlockStack(stack, program.layout, self.readout, layers)

    def __str__(self) -> str:
        return listing(self)

    def _given(self, blocks: Mapping[str, ArrayLike]) -> dict[str, Array]:
        checks.names("compiled stack", "block", blocks, self.program.inputs)
        checks.finite("compiled stack", **blocks)
        checks.in_range("compiled stack", self.dtype, **blocks)
        return {
            name: jnp.asarray(
                checks.column(
                    "compiled stack", name, blocks[name], self.program.places[name].shape
                ),
                self.dtype,
            )
            for name in self.program.inputs
        }

    def _shaped(
        self, out: Mapping[str, Array], blocks: Mapping[str, ArrayLike]
    ) -> dict[str, Array]:
        """Answers with as many axes as the questions had."""
        axes = {name: np.ndim(blocks[name]) for name in out}
        return {
            name: value.reshape(value.shape[: value.ndim - 2 + axes[name]])
            if axes[name] < 2
            else value
            for name, value in out.items()
        }
