"""The compiled step: attention layers, run as such or, as they were built, as the same products."""

import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Rows
from elsa.base.jit import jitted
from elsa.base.precision import exact
from elsa.compiler.dense import MAX_BYTES, dense, num_bytes, placeholder, stored
from elsa.compiler.emitting import structured
from elsa.compiler.emitting.program import Program
from elsa.compiler.emitting.slots import readout
from elsa.compiler.listing import listing
from elsa.compiler.verifying import largest_error
from elsa.heads.head import Head, num_parameters
from elsa.heads.products import skip as skip_head
from elsa.nn.block_stack import BlockStack

EXECUTIONS = ("auto", "dense")
# From there on a run of the weights is worth a warning: times the products' cost, multiplications.
_MUCH, _FEW = 10, 10**6


@jitted("program", "trace")
def _structured(
    program: Program, blocks: dict[str, Array], trace: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    env = {program.places[name]: block for name, block in blocks.items()}
    return structured.run(program.schedule, env, program.outputs, trace=trace)


class CompiledStack(BlockStack):
    """A step as a stack of extended linear self-attention layers, made by `elsa.compile`.

    `stack(**blocks)` takes every input of the step and returns the updated blocks after `depth`
    steps. Its weights are parameters: `nnx.grad`, optimisers and edits see them. While they are as
    built, and known when the call is traced, a call computes the heads' products on the blocks
    themselves, which agrees with the layers to rounding and costs what the step costs; otherwise,
    and always with execution="dense", it runs the layers' weight matrices on the whole prompt.

    Dense weights of more than 256 MB are made with execution="dense" only; without, `weights`,
    `prompts`, gradients and `elsa.export` are refused.

    Attributes:
      layout: where the inputs lie in the caller's prompt.
      readout: where the outputs lie in the stack's prompt after the last layer, which may have more
        rows and channels than the caller's, appended as zeros.
      execution: "auto" or "dense".
      depth: how often the step runs.
    """

    def __init__(self, program: Program, depth: int, execution: str, dtype: np.dtype) -> None:
        self.program = program
        self.depth, self.execution, self._dtype = depth, execution, dtype
        self._too_large = execution != "dense" and num_bytes(program, dtype) > MAX_BYTES
        step = program.step
        super().__init__(
            placeholder(dtype) if self._too_large else dense(program, dtype),
            program.layout,
            readout(program.slots, program.outputs),
            inputs=program.inputs,
            outputs={name: program.inputs[name] for name in program.outputs},
            name=f"{getattr(step, '__module__', type(step).__module__)}."
            f"{getattr(step, '__qualname__', type(step).__name__)}",
            loads=bool(program.moves),
        )

    def structured(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The outputs by the heads' products on the blocks, for weights as built.

        Pass it to `jax.jit` where the stack itself would be an argument: a stack that is traced may
        have any weights, and runs them all.

        Raises:
          ValueError: where weights were edited. KeyError, ValueError: as a call.
        """
        if not (self.is_as_built or self._is_traced):
            raise ValueError(
                f"structured: the weights of {self.name} are not as compiled; call the stack, "
                "which runs them"
            )
        out, _ = _structured(self.program, self._given(blocks), False)
        return self._shaped(out, blocks)

    def trajectory(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The outputs if the stack ended after each step, [depth + 1, ...], the start first.

        Raises:
          ValueError: for edited weights where every step has its own epilogue. KeyError,
            ValueError: as a call.
        """
        given = self._given(blocks)
        if not self.is_as_built:
            self.require_weights("trajectory")
            if self.program.variants > 1 and self.program.schedule.epilogue:
                raise ValueError(
                    f"trajectory: the last layers of {self.name} depend on t, and of edited "
                    "weights only those of the last step are known"
                )
            return super().trajectory(**blocks)
        _, seen = _structured(self.program, given, True)
        out = {}
        for name in self.outputs:
            start = given[name][None]
            same = jnp.repeat(start, self.depth, 0)
            later = seen.get(name, same) if self.program.schedule.depth else same
            out[name] = jnp.concatenate([start, later])
        return self._shaped(out, blocks)

    def from_prompt(self, h: Real[ArrayLike, "n m"] | Rows) -> dict[str, Array]:
        """The outputs for a prompt of the caller's; what lies outside the blocks is ignored.

        Raises:
          ValueError: where the prompt has not the shape of `layout`.
        """
        blocks = self.layout.unpack(h)
        if self._runs_blocks() or not self.program.moves:
            return self(**blocks)
        checks.finite("from_prompt", h=h)
        checks.in_range("from_prompt", self.dtype, h=h)
        return self.readout.unpack(self.run(self.padded(jnp.asarray(h))))

    @exact
    def verify(self, key: Array, /, **blocks: AnyShape) -> float:
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

    def run(self, h: Float[Array, "n m"], observe: Any = None, *, ended: bool = False) -> Any:
        """The layers' weights on a packed prompt, as `BlockStack.run`."""
        self.require_weights("run")
        return super().run(h, observe, ended=ended)

    # Counts and weights, known from the symbolic heads.

    @property
    def dtype(self) -> np.dtype:
        """The dtype that the stack computes in."""
        return self._dtype

    @property
    def weights(self) -> Any:
        """Dense weights, six arrays a layer, padded to the layer's own inner size.

        One entry for each of load layer, prologue, the step's layers and epilogue; the step's have
        one more axis in front, of length depth, where the step's numbers depend on t.
        """
        self.require_weights("weights")
        return super().weights

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
        """Entries of the dense weights, as built, that are not zero."""
        return sum(head.num_nonzeros(self.dtype) for layer in self._stored for head in layer)

    @property
    def _stored(self) -> list[tuple[Head, ...]]:
        skip = (skip_head(self.program.slots.shape),) if self.program.skip == "head" else ()
        return [(*layer, *skip) for layer in stored(self.program)]

    def __str__(self) -> str:
        return listing(self)

    # How a call runs.

    def _answer(self, given: Mapping[str, Array]) -> dict[str, Array]:
        if self._runs_blocks():
            return _structured(self.program, dict(given), False)[0]
        return super()._answer(given)

    def _runs_blocks(self) -> bool:
        """Whether a call computes products of blocks; warns where weights cost far more."""
        if self.execution == "dense" or self.is_as_built:
            return self.execution != "dense"
        self.require_weights("call")
        weights, products = self.program.costs
        if self._is_traced and weights > max(_MUCH * products, _FEW):
            warnings.warn(
                f"{self.name} enters a jax transformation as an argument and runs its weight "
                f"matrices, at about {weights / max(products, 1):.0f} times the multiplications of "
                "the step; close over the stack, "
                "or pass stack.structured, where its weights are not to be changed",
                stacklevel=2,
            )
        return False

    @property
    def _is_traced(self) -> bool:
        return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(nnx.state(self)))

    def require_weights(self, where: str) -> None:
        """Refuses, in the name of a function, where the dense weights are too large and not made.

        Raises:
          ValueError: with their size and the way out.
        """
        if self._too_large:
            raise ValueError(
                f"{where}: the dense weights of {self.name} take at least "
                f"{num_bytes(self.program, self.dtype) / 1e6:.0f} MB, above "
                f"{MAX_BYTES / 1e6:.0f} MB, and were not made; compile with "
                'execution="dense" to have them'
            )

    @property
    def _where(self) -> str:
        return "compiled stack"
