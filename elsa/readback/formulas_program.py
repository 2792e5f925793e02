"""A program of products of blocks, read from the weights of a stack, to print and to run."""

import dataclasses
import textwrap
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.base.jit import jitted
from elsa.base.precision import exact
from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import Box
from elsa.readback.formulas_flow import runs
from elsa.readback.formulas_lines import Line

_SHOWN = 36  # entries of a constant that are printed


@dataclasses.dataclass(frozen=True, eq=False)
class LayerFormulas:
    """What one layer adds to the prompt.

    title: where it stands in the stack.
    lines: what was recognised, as a compiled stack lists its heads.
    unexplained: size of what no line says, over that of all that the layer adds.
    size: of all that it adds, the root mean square on prompts of independent standard complex
      normal entries.
    """

    title: str
    lines: tuple[Line, ...]
    unexplained: float
    size: float


@dataclasses.dataclass(frozen=True, eq=False)
class Formulas:
    """A stack as a program on named blocks, read from its weights; `print` it, or run it.

    layers: one for each layer that has weights of its own, in the order in which they run.
    boxes: where the blocks lie in the prompt; what has no name in the stack is v1, v2, ...
    constants: the matrices that the lines name.
    stack: what was read.
    """

    layers: tuple[LayerFormulas, ...]
    boxes: Mapping[str, Box]
    constants: Mapping[str, Float[np.ndarray, "_ _"]]
    stack: BlockStack

    @exact
    def run(self, h: Float[Array | np.ndarray, "n m"]) -> Float[Array, "n m"]:
        """The prompt after the program's lines have run in place of the layers.

        All lines of a layer read the prompt as it was before it.

        Args:
          h: a packed prompt, as `stack.pack` makes it.

        Raises:
          ValueError: for a prompt of another shape.
        """
        checks.real("run", h=h)
        if np.shape(h) != self.stack.readout.shape:
            raise ValueError(
                f"run: h must be a prompt of shape {self.stack.readout.shape}, got {np.shape(h)}"
            )
        return _run(self, jnp.asarray(h))

    def __call__(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The blocks that the stack returns, as they lie in the prompt, by the program's lines.

        Takes and refuses what a call of the stack does.
        """
        last = self.run(self.stack.pack(**blocks))
        return {name: self.stack.readout.block(last, name) for name in self.stack.outputs}

    @exact
    def error(self, prompts: Float[Array | np.ndarray, "batch n m"]) -> float:
        """How far the program's outputs are from the stack's, over the size of the stack's.

        Root mean squares over the prompts and over all entries of the outputs.

        Args:
          prompts: packed, as `jax.vmap(stack.pack)` makes them.

        Raises:
          ValueError: for prompts of another shape, NaN or infinity, or where the outputs are all 0.
        """
        shape = self.stack.readout.shape
        checks.shapes("error", prompts=(prompts, "batch n m"))
        checks.finite("error", prompts=prompts)
        if np.shape(prompts)[1:] != shape or not len(prompts):
            raise ValueError(
                f"error: prompts must be at least one of shape {shape}, got {np.shape(prompts)}"
            )
        readout, names = self.stack.readout, tuple(self.stack.outputs)

        def outputs(h: Array) -> Array:
            return jnp.concatenate([readout.block(h, name).ravel() for name in names])

        given = jnp.asarray(prompts, self.stack.dtype)
        theirs = jax.vmap(lambda h: outputs(self.stack.stack(h)))(given)
        ours = jax.vmap(lambda h: outputs(self.run(h)))(given)
        size = float(jnp.linalg.norm(theirs))
        if size == 0.0:
            raise ValueError("error: the stack's outputs must not be 0 on all prompts, got 0")
        return float(jnp.linalg.norm(ours - theirs)) / size

    def __str__(self) -> str:
        """What each layer adds, a line each, and what no line says; then places and constants."""
        text = [f"{self.stack.name}: {len(self.layers)} layers read, {self.stack.num_layers} run"]
        for layer in self.layers:
            rounding = layer.unexplained <= 256.0 * float(np.finfo(self.stack.dtype).eps)
            left = "0" if rounding else f"{layer.unexplained:.2g}"
            text.append(f"  {layer.title}: unexplained {left}")
            text += [f"    {line.formula}    ({_percent(line.share)})" for line in layer.lines]
        new = [
            name for name in self._used() if name not in (*self.stack.layout, *self.stack.readout)
        ]
        for name in new:
            box = self.boxes[name]
            rows, channels = box.rows, box.channels
            text.append(
                f"  {name}: rows {rows.start}:{rows.stop}, channels "
                f"{channels.start}:{channels.stop}"
            )
        for name, matrix in self.constants.items():
            if matrix.size <= _SHOWN:
                shown = np.array2string(matrix, precision=4, suppress_small=True)
                text.append(f"  {name} =\n{textwrap.indent(shown, '    ')}")
            else:
                text.append(f"  {name}: {by(matrix)}, norm {np.linalg.norm(matrix):.4g}")
        return "\n".join(text)

    def _used(self) -> list[str]:
        lines = [line for layer in self.layers for line in layer.lines]
        return list(dict.fromkeys(name for line in lines for name in (line.target, *line.operands)))


@jitted("program")
def _run(program: Formulas, prompt: Array) -> Array:
    for run in runs(program.stack):

        def once(_: Array, prompt: Array, layers: range = run.layers) -> Array:
            for index in layers:
                prompt = _after(program, program.layers[index], prompt)
            return prompt

        prompt = jax.lax.fori_loop(0, run.times, once, prompt)
    return prompt


def _after(program: Formulas, layer: LayerFormulas, prompt: Array) -> Array:
    places = {
        name: (slice(box.row, box.rows.stop), slice(box.col, box.channels.stop))
        for name, box in program.boxes.items()
    }
    blocks = {name: prompt[place] for name, place in places.items()}
    for line in layer.lines:
        box = program.boxes[line.target]
        value = line.value(blocks, (box.height, box.width))
        prompt = prompt.at[places[line.target]].add(value)
    return prompt


def by(matrix: np.ndarray) -> str:
    return "x".join(map(str, matrix.shape))


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g} %" if share < 0.995 else "100 %"
