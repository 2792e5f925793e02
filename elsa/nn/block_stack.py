"""A stack between named blocks: pack the prompt, run the layers, read the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.base.precision import exact
from elsa.heads.head import Head, HeadWeights
from elsa.nn import notebook, running
from elsa.nn.arguments import converted, looked_at, refuse_unnamed
from elsa.nn.as_built import AsBuilt
from elsa.nn.listing import listing, one_line
from elsa.nn.stack import Observer, Stack
from elsa.nn.streamable import Streamable
from elsa.nn.verifying import drawn, largest_error, warn_where_edited, without_reference
from elsa.prompts.layout import BlockLayout, Box

Shapes = Mapping[str, tuple[int, ...]]
Reference = Callable[..., Mapping[str, AnyShape]]


class BlockStack(Streamable, nnx.Module):
    """A `Stack` with names: called with blocks, it returns blocks.

    A call packs the prompt, runs the layers and reads the answer. Constructions, compiled steps,
    trained models read as stacks, and stacks from files are of this kind. The stack's own prompt
    may have more rows and channels than the caller's, appended as zeros. One task at a time;
    `jax.vmap` runs a batch.

    Args:
      stack: the layers.
      layout: where the input's blocks lie in the caller's prompt.
      readout: where the blocks lie in the prompt after the last layer.
      layers: the symbolic heads, a tuple for each layer of `weights`; none where they are unknown.
      inputs: name -> shape of what a call takes; by default the blocks of the layout.
      outputs: name -> shape of what it returns; by default the blocks of the readout.
      name: messages and listings start with it; by default the name of the class.
      holds: block -> what it contains, where that is not the value of its name.
      loads: True where the first layer moves the inputs to where the stack wants them.
      reference: what the stack should compute, by other means, for `verify`: a function of the
        inputs, [rows, columns] each, to the outputs.

    Attributes:
      stack, layout, readout, name, loads: as given.
    """

    def __init__(
        self,
        stack: Stack,
        layout: BlockLayout,
        readout: BlockLayout,
        layers: Sequence[Sequence[Head]] = (),
        *,
        inputs: Shapes | None = None,
        outputs: Shapes | None = None,
        name: str | None = None,
        holds: Mapping[str, str] | None = None,
        loads: bool = False,
        reference: Reference | None = None,
    ) -> None:
        checks.instance("BlockStack", Stack, "a Stack", stack=stack)
        checks.instance("BlockStack", BlockLayout, "a layout", layout=layout, readout=readout)
        self.stack, self._reference, self.loads = stack, reference, loads
        self.layout, self.readout = layout, readout
        self.name = type(self).__name__ if name is None else name
        takes = {b: layout.shape_of(b) for b in layout} if inputs is None else inputs
        gives = {b: readout.shape_of(b) for b in readout} if outputs is None else outputs
        self._inputs, self._outputs = tuple(takes.items()), tuple(gives.items())
        self._holds = tuple((holds or {}).items())
        self._layers = nnx.static(tuple(tuple(heads) for heads in layers))
        self._as_built = AsBuilt(stack)

    @property
    def own_blocks(self) -> tuple[tuple[str, Box], ...]:
        """Names and places of values in the stack's prompt besides those of the two layouts."""
        return ()

    # Calls.

    @exact
    def __call__(self, /, *unnamed: AnyShape, **blocks: AnyShape) -> dict[str, Array]:
        """The outputs; one task, `jax.vmap` for a batch.

        1-D arrays act as columns and numbers as 1 x 1; an output comes back with as many axes as
        its input had, or as `outputs` says where it is not an input.

        Raises:
          KeyError: for a block that is not an input. TypeError: for one without its name.
          ValueError: for a missing one, a wrong shape, or NaN or infinity in a concrete array.
        """
        refuse_unnamed(self._where, unnamed, self.inputs)
        return self._shaped(self._answer(self._given(blocks)), blocks)

    @exact
    def pack(self, /, **blocks: AnyShape) -> Float[Array, "n m"]:
        """The prompt that a call runs on; arguments and errors as for a call."""
        return self._packed(self._given(blocks))

    @exact
    def prompts(self, /, **blocks: AnyShape) -> Float[Array, "layers n m"]:
        """Every layer's prompt (the hidden states), the input first: [num_layers + 1, n, m]."""
        seen: Array = self.run(self.pack(**blocks), running.whole_prompt)[1]
        return seen

    @exact
    def scores(self, layer: int, /, **blocks: AnyShape) -> Float[Array, "heads n n"]:
        """Attention scores (H Wq + Bq) (H Wk + Bk)^T of a layer's heads, H the prompt before it.

        Args:
          layer: 0 .. num_layers - 1, in the order in which they run.

        Raises:
          IndexError: for another layer. KeyError, ValueError: as a call.
        """
        checks.size("scores", layer=(layer, 0))
        if layer >= self.num_layers:
            raise IndexError(f"scores: layer must be below {self.num_layers}, got {layer}")
        before = self.prompts(**blocks)[layer]
        scores: Array = self.stack.layer(int(layer)).scores(before)
        return scores

    @exact
    def trajectory(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The outputs if the stack ended after each step, [depth + 1, ...], the start first.

        Arguments and errors as for a call.
        """
        given = self._given(blocks)
        return self._shaped(self._steps(given, tuple(self.outputs), ended=True), blocks)

    @exact
    def verify(self, key: Array, /, **blocks: AnyShape) -> float:
        """The largest error of an output against what it should be, computed by other means.

        max |out - ref| over the largest entry of the reference, or of a given block that the stack
        updates. Blocks that are not given are drawn, standard normal. Weights that were trained or
        edited since compute another function, at any distance: a warning says what to ask instead.

        Raises:
          TypeError: for a stack without a reference, such as one from a file.
          ValueError: where the reference itself is not finite.
        """
        checks.random_key("verify", key)
        given = self._given(self._drawn(key, blocks))
        expected, out = self._expected(given), self._answer(given)
        error = largest_error(out, expected, [given[name] for name in out if name in given])
        warn_where_edited(self)
        return error

    def run(
        self, h: Float[Array, "n m"], observe: Observer | None = None, *, ended: bool = False
    ) -> Any:
        """The layers on a packed prompt, compiled once for each shape, depth and observer.

        Args:
          observe: sees every layer's prompt, as `Stack` says; with `ended`, what the prompt would
            be if the epilogue ran next.
        """
        return running.run(self.stack, h, observe, ended=ended)

    def padded(self, h: Float[Array, "n m"]) -> Float[Array, "_n _m"]:
        """The caller's prompt in the stack's dtype, rows and channels appended as zeros."""
        return running.padded(h, self.readout.shape, self.dtype)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of what a call takes."""
        return dict(self._inputs)

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of what it returns."""
        return dict(self._outputs)

    @property
    def holds(self) -> dict[str, str]:
        """Block -> what it contains, where that is not the value of its name."""
        return dict(self._holds)

    @property
    def layers(self) -> tuple[tuple[Head, ...], ...]:
        """The symbolic heads of each layer of `weights`; none where they are unknown."""
        return self._layers

    @property
    def weights(self) -> tuple[HeadWeights, ...]:
        """Dense weights, six arrays a layer: prologue, one body, epilogue."""
        return self.stack.weights

    def require_weights(self, where: str) -> None:
        """Refuses a stack without dense weights, for the function `where`; this one has them."""

    @property
    def is_as_built(self) -> bool:
        """Whether the weights are concrete and equal to those that the stack was built with."""
        return self._as_built.holds(self.stack)

    @property
    def dtype(self) -> np.dtype:
        """The dtype that the layers compute in."""
        dtype: np.dtype = np.dtype(self.stack.body[0].wq.dtype)
        return dtype

    @property
    def num_layers(self) -> int:
        """Layers that run."""
        return self.stack.num_layers

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, a skip head included."""
        inner = self.stack
        parts = (inner.prologue, 1), (inner.body, inner.depth), (inner.epilogue, 1)
        return sum(layer.wq.shape[-3] * times for layers, times in parts for layer in layers)

    @property
    def num_parameters(self) -> int:
        """Entries of the weights as stored, one set for tied layers."""
        return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(nnx.state(self.stack)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({one_line(self)})"

    __treescope_repr__ = notebook.rendering

    def __str__(self) -> str:
        return listing(self)

    # Hooks of subclasses, and the code that calls them.

    @property
    def _where(self) -> str:
        """The name that messages of a call start with."""
        return self.name

    def _filled(self, blocks: Mapping[str, AnyShape]) -> Mapping[str, AnyShape]:
        """The call's blocks, those with a default filled in."""
        return blocks

    def _check(self, given: Mapping[str, Array | np.ndarray]) -> None:
        """Refuses values that the layers cannot take."""

    def _encode(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """From the call's blocks to the layout's."""
        return dict(given)

    def _decode(self, read: Mapping[str, Array], given: Mapping[str, Array]) -> dict[str, Array]:
        """From the readout's blocks, perhaps with a leading axis of steps, to the answer's."""
        return dict(read)

    def _drawn(self, key: Array, blocks: Mapping[str, AnyShape]) -> dict[str, Any]:
        """The blocks given, and random ones for the others."""
        return drawn(key, blocks, dict(self._inputs), self.dtype)

    def _expected(self, given: Mapping[str, Array]) -> Mapping[str, AnyShape]:
        """What the outputs should be."""
        if self._reference is None:
            raise without_reference(self.name)
        return self._reference(**given)

    def _axes(self, name: str, blocks: Mapping[str, AnyShape]) -> int:
        """How many axes an output has."""
        return np.ndim(blocks[name]) if name in blocks else len(self.outputs[name])

    def _given(self, blocks: Mapping[str, AnyShape]) -> dict[str, Array]:
        """The call's blocks, checked, as matrices of the stack's dtype."""
        given = looked_at(self._where, self._filled(blocks), dict(self._inputs), self.dtype)
        self._check(given)
        return converted(given, self.dtype)

    def _packed(self, given: Mapping[str, Array]) -> Array:
        return self.padded(self.layout.pack(**self._encode(given)))

    def _answer(self, given: Mapping[str, Array]) -> dict[str, Array]:
        read = running.ReadBlocks(self.readout, tuple(self.outputs))
        return self._decode(read(self.run(self._packed(given))), given)

    def _steps(
        self, given: Mapping[str, Array], names: tuple[str, ...], *, ended: bool
    ) -> dict[str, Array]:
        """Blocks after every step; with `ended`, as the epilogue would leave them."""
        read = running.ReadBlocks(self.readout, names)
        _, seen = self.run(self._packed(given), read, ended=ended)
        first = len(self.stack.prologue)
        last = len(seen[names[0]]) - len(self.stack.epilogue)
        every = slice(first, last, len(self.stack.body))
        return self._decode({name: seen[name][every] for name in names}, given)

    def _shaped(self, out: Mapping[str, Array], blocks: Mapping[str, AnyShape]) -> dict[str, Array]:
        """The outputs with as many axes as they should have, any leading axis kept."""
        return {
            name: value.reshape(value.shape[: value.ndim - 2 + self._axes(name, blocks)])
            for name, value in out.items()
        }
