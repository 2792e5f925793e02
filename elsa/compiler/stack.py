"""The compiled step: attention layers, run as such or, as they were built, as the same products."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Rows
from elsa.base.counting import counted
from elsa.base.precision import exact
from elsa.compiler.dense import MAX_BYTES, Weights, placeholder
from elsa.compiler.emitting.slots import Placed, readout
from elsa.compiler.emitting.structured import answers
from elsa.compiler.emitting.symbolic import Heads
from elsa.compiler.planning.layers import Plan
from elsa.compiler.streamed import PlanProgram
from elsa.compiler.tracing.steps import Traced
from elsa.compiler.verifying import largest_error
from elsa.heads.head import Head
from elsa.heads.listing import heads_by_layer
from elsa.nn.block_stack import BlockStack
from elsa.nn.listing import edited_heads
from elsa.nn.streaming import Program
from elsa.nn.verifying import warn_where_edited
from elsa.prompts.layout import Box

EXECUTIONS = ("auto", "dense")
# From there on a run of the weights is worth a warning: times the products' cost, multiplications.
_MUCH, _FEW = 10, 10**6


class Stages(NamedTuple):
    """What a step becomes on its way to weights; each prints as text.

    traced: the graph of its values.
    plan: layers of products.
    placed: the places of the products in a prompt.
    heads: the layers as symbolic heads.
    weights: their dense weights, counted and not made.
    """

    traced: Traced
    plan: Plan
    placed: Placed
    heads: Heads
    weights: Weights


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
      stages: what the step became on its way to weights, each of which prints.
    """

    def __init__(self, stages: Stages, execution: str) -> None:
        traced, plan, placed, _, weights = stages
        self.stages = nnx.static(stages)
        self.depth, self.execution, self._dtype = traced.depth, execution, weights.dtype
        self._too_large = execution != "dense" and weights.num_bytes > MAX_BYTES
        step = traced.step
        super().__init__(
            placeholder(self.dtype) if self._too_large else weights.stack(),
            placed.layout,
            readout(placed, plan.outputs),
            inputs=traced.inputs,
            outputs={name: traced.inputs[name] for name in plan.outputs},
            name=f"{getattr(step, '__module__', type(step).__module__)}."
            f"{getattr(step, '__qualname__', type(step).__name__)}",
            loads=bool(placed.moves),
        )

    @property
    def own_blocks(self) -> tuple[tuple[str, Box], ...]:
        """All values that the step has on its way, by their names in `stages.placed`."""
        placed = self.stages.placed
        return tuple((placed.names[chain], box) for chain, box in placed.boxes.items())

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
        out, _ = answers(self.stages.plan, self._given(blocks), trace=False)
        return self._shaped(out, blocks)

    def trajectory(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The outputs if the stack ended after each step, [depth + 1, ...], the start first.

        Raises:
          ValueError: for edited weights where every step has its own epilogue. KeyError,
            ValueError: as a call.
        """
        inputs, plan = self._given(blocks), self.stages.plan
        if not self.is_as_built:
            self.require_weights("trajectory")
            if plan.variants > 1 and plan.schedule.epilogue:
                raise ValueError(
                    f"trajectory: the last layers of {self.name} depend on t, and of edited "
                    "weights only those of the last step are known"
                )
            return super().trajectory(**blocks)
        _, seen = answers(plan, inputs, trace=True)
        out = {}
        for name in self.outputs:
            start = inputs[name][None]
            same = jnp.repeat(start, self.depth, 0)
            later = seen.get(name, same) if plan.schedule.depth else same
            out[name] = jnp.concatenate([start, later])
        return self._shaped(out, blocks)

    def from_prompt(self, h: Real[ArrayLike, "n m"] | Rows) -> dict[str, Array]:
        """The outputs for a prompt of the caller's; what lies outside the blocks is ignored.

        Raises:
          ValueError: for a prompt of another shape than that of `layout`, NaN or infinity.
        """
        checks.shapes("from_prompt", h=(h, "n m"))
        blocks = self.layout.unpack(h)
        checks.finite(
            "from_prompt", **{f"h, in block {n!r},": block for n, block in blocks.items()}
        )
        if self._runs_blocks() or not self.loads:
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
        blocks stay bounded, where rounding shows most, and of a sixteenth of it. Weights that were
        trained or edited since compute another function, at any distance: a warning says so.

        Raises:
          KeyError: for a block that is not an input.
          TypeError: for a key that is none, under jit, vmap or grad, for blocks without numbers.
          ValueError: for a block of another shape or with NaN, and where the reference itself is
            not finite, naming block and step.
        """
        error = largest_error(self.stages.traced, self.dtype, self, key, blocks)
        warn_where_edited(self)
        return error

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
        return self.stages.heads.layers

    @property
    def num_layers(self) -> int:
        """Layers that run: load layer, prologue, depth times the step, epilogue."""
        return self.stages.plan.schedule.num_layers + self.loads

    @property
    def layers_per_step(self) -> int:
        """Layers that one more step adds."""
        return len(self.stages.plan.schedule.step)

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, skip heads included."""
        heads, plan = self.stages.heads, self.stages.plan
        first, last = heads.parts
        counts = [len(layer_heads) + (heads.skip == "head") for layer_heads in heads.layers]
        repeats = plan.schedule.depth // plan.variants
        end = len(counts) - last
        return sum(counts[:first]) + repeats * sum(counts[first:end]) + sum(counts[end:])

    @property
    def num_parameters(self) -> int:
        """Entries of the dense weights as stored, one set for a tied step."""
        return self.stages.weights.num_parameters

    @property
    def num_nonzeros(self) -> int:
        """Entries of the dense weights, as built, that are not zero."""
        return self.stages.weights.num_nonzeros

    def __str__(self) -> str:
        """Counts and plan, then a line for each head, in its formula."""
        traced, plan, placed, heads, _ = self.stages
        lines = [
            f"{getattr(traced.step, '__name__', 'step')}, {counted(self.depth, 'step')}: "
            f"{counted(self.num_layers, 'layer')}, {counted(self.num_heads, 'head')}, prompt "
            f"{' x '.join(map(str, placed.shape))}, {self.num_parameters} parameters stored, "
            f"{self.num_nonzeros} not zero",
            f"  plan: {plan.words}",
        ]
        return "\n".join(lines + heads_by_layer(*heads.once(), edited_heads(self)))

    # How a call runs.

    def _answer(self, given: Mapping[str, Array]) -> dict[str, Array]:
        if self._runs_blocks():
            return answers(self.stages.plan, dict(given), trace=False)[0]
        return super()._answer(given)

    def _program(self, names: Sequence[str], any_length: bool) -> Program:
        if not self._runs_blocks():
            self.require_weights("streamed")
            return super()._program(names, any_length)
        shapes = {name: checks.matrix_shape(shape) for name, shape in self.inputs.items()}
        return PlanProgram(self.stages.plan, names, shapes, f"{self._where}, streamed")

    def _runs_blocks(self) -> bool:
        """Whether a call computes products of blocks; warns where weights cost far more."""
        if self.execution == "dense" or self.is_as_built:
            return self.execution != "dense"
        self.require_weights("call")
        weights, products = self.stages.heads.costs
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
                f"{self.stages.weights.num_bytes / 1e6:.0f} MB, above "
                f"{MAX_BYTES / 1e6:.0f} MB, and were not made; compile with "
                'execution="dense" to have them'
            )

    @property
    def _where(self) -> str:
        return "compiled stack"
