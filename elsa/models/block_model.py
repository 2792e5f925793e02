"""Stacks of LSA and ELSA layers on prompts that are blocks by name, asked for a matrix."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import EXACT, at_own_precision, known
from elsa.models import stack_layers
from elsa.models.inputs import ByLayer
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import natural_layout
from elsa.tasks import BlockPrompt

SCRATCH, OUT = "scratch", "out"  # blocks that start at zero; the answer is read from the second


class BlockModel(nnx.Module):
    """A stack of attention layers on the prompt [blocks side by side | scratch | out].

        H_0 = [A | B | .. | 0 | 0];    H <- H + sum of heads(H)    depth times

    The answer is the block `out` of the last prompt. Biases have a row for each row of the prompt.

    Args:
      blocks: name -> (height, width) of what a prompt holds, each in channels of its own.
      target_shape: of the answer; scratch is as large.
      depth: layers.
      num_heads: heads a layer.
      key_size: p; the number of channels where 0.
      tied: whether all layers share their weights.
      init_scale: standard deviation of the weights, in units of 1 / sqrt(m).
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws weights.

    Raises:
      ValueError, TypeError: for a size below its least, or a block of a name that is taken.
    """

    takes_gram = False
    weighs_rows = False
    prompt_kind = BlockPrompt
    traced = ("init_scale",)
    has_biases: ClassVar[bool]

    def __init__(
        self,
        blocks: Mapping[str, tuple[int, int]],
        target_shape: tuple[int, int],
        depth: int = 1,
        *,
        num_heads: int = 1,
        key_size: int = 0,
        tied: bool = False,
        init_scale: Float[ArrayLike, ""] = 0.2,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        where = type(self).__name__
        shapes = _shapes(where, blocks, target_shape)
        checks.size(where, depth=(depth, 0), num_heads=(num_heads, 1), key_size=(key_size, 0))
        checks.boolean(where, tied=tied)
        checks.at_least(where, init_scale=(init_scale, 0.0))
        checks.finite(where, init_scale=init_scale)
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        self.precision, self.tied = known(where, precision), tied
        self.layout = natural_layout(shapes)
        rows, channels = self.layout.shape
        self.stack = stack_layers.drawn(
            depth,
            channels,
            key_size or channels,
            num_heads,
            roles=rows if self.has_biases else None,
            tied=tied,
            masked=False,
            init_scale=init_scale / channels**0.5,
            dtype=checks.float_dtype(where, dtype),
            precision=precision,
            rngs=rngs,
        )

    @at_own_precision
    def __call__(self, prompt: BlockPrompt) -> Float[Array, "batch height width"]:
        """The answers to a batch of prompts.

        Raises:
          TypeError, ValueError: for what is no BlockPrompt, or has other blocks than the model.
        """
        return self.layout.block(self._run(self._pack(prompt)), OUT)

    @at_own_precision
    def hidden_states(self, prompt: BlockPrompt) -> Float[Array, "layers batch rows m"]:
        """Every layer's prompt, the input first: [num_layers + 1, batch, rows, m].

        Raises:
          TypeError, ValueError: as a call.
        """
        return self._states(prompt)

    @at_own_precision
    def by_layer(self, prompt: BlockPrompt) -> ByLayer:
        """The answer if the stack ended after each layer.

        Raises:
          TypeError, ValueError: as a call.
        """
        return ByLayer(self.layout.block(self._states(prompt), OUT), None)

    @property
    def num_layers(self) -> int:
        """Layers that run."""
        return self.stack.num_layers

    @property
    def given(self) -> BlockLayout:
        """Where the blocks lie that a prompt holds."""
        held = {name: box for name, box in self.layout.blocks.items() if name not in (SCRATCH, OUT)}
        return BlockLayout(held, self.layout.shape)

    def _pack(self, prompt: BlockPrompt) -> Float[Array, "batch rows m"]:
        where = type(self).__name__
        checks.instance(where, BlockPrompt, "a tasks.BlockPrompt", prompt=prompt)
        checks.mapping(where, "a mapping of names to arrays", blocks=prompt.blocks)
        given = self.given
        if set(prompt.blocks) != set(given):
            raise ValueError(
                f"{where}: prompt must have the blocks {list(given)}, got {list(prompt.blocks)}"
            )
        named = {f"blocks[{name!r}]": prompt.blocks[name] for name in given}
        checks.real(where, **named)
        batches = {np.shape(array)[:1] for array in named.values()}
        for (said, array), name in zip(named.items(), given, strict=True):
            came, (height, width) = np.shape(array), given.shape_of(name)
            if came[1:] != (height, width) or len(batches) > 1:
                raise ValueError(
                    f"{where}: {said} must have shape (batch, {height}, {width}), with one batch "
                    f"for all blocks, got {came}"
                )
        checks.finite(where, **named)
        dtype = jax.tree.leaves(nnx.state(self.stack, nnx.Param))[0].dtype
        cast = {name: jnp.asarray(array, dtype) for name, array in prompt.blocks.items()}
        return jax.vmap(lambda one: given.pack(**one))(cast)

    def _run(self, h: Float[Array, "batch rows m"], observe: Any = None) -> Any:
        roles = jnp.eye(self.layout.shape[0], dtype=h.dtype) if self.has_biases else None
        return jax.vmap(lambda one: self.stack(one, observe=observe, roles=roles))(h)

    def _states(self, prompt: BlockPrompt) -> Float[Array, "layers batch rows m"]:
        _, states = self._run(self._pack(prompt), lambda h: h)
        return jnp.swapaxes(states, 0, 1)


class BlockLSA(BlockModel):
    """A `BlockModel` of layers without biases."""

    has_biases = False


class BlockELSA(BlockModel):
    """A `BlockModel` of layers with biases."""

    has_biases = True


def _shapes(
    where: str, blocks: Mapping[str, tuple[int, int]], target_shape: tuple[int, int]
) -> dict[str, tuple[int, int]]:
    """All blocks of the prompt, the model's own among them."""
    checks.mapping(where, "a mapping of names to shapes", blocks=blocks)
    shapes = {**blocks, "target_shape": target_shape}
    for name, shape in shapes.items():
        checks.instance(where, str, "names of blocks", blocks=name)
        checks.instance(where, tuple | list, "two integers", **{name: shape})
        if len(shape) != 2:
            raise ValueError(f"{where}: {name} must be two integers, got {shape!r}")
        checks.size(where, **{f"{name}[{i}]": (size, 1) for i, size in enumerate(shape)})
    taken = [name for name in (SCRATCH, OUT) if name in blocks]
    if taken or not blocks:
        raise ValueError(
            f"{where}: blocks must hold at least one, and none called {SCRATCH!r} or {OUT!r}, got "
            f"{list(blocks)}"
        )
    own = shapes.pop("target_shape")
    return {**shapes, SCRATCH: own, OUT: own}
