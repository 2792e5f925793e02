"""The layers of a stack, by their weights, on a prompt most of whose rows come from a stream.

The rows that hold nothing but what is streamed are Z M, and a layer changes M; all others, those of
queries, of weights and of a regulariser, are few, and are kept as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from elsa.nn.layers import ELSA, LSA
from elsa.nn.streaming import Answer
from elsa.nn.tall import Sums
from elsa.prompts.layout import Box

if TYPE_CHECKING:
    from elsa.nn.block_stack import BlockStack

_BIASES = ("bq", "bk", "bv")
_MOST = 4096  # columns of Z


class LayerProgram:
    """Runs a stack's weights; `Streamed` says on what.

    Args:
      stack: LSA and ELSA layers between named blocks.
      names: the blocks that are streamed; they lie in the same rows of the prompt.
      any_length: whether the stream may have another number of rows.

    Raises:
      ValueError: for layers of other kinds, blocks in different rows or stored transposed, and
        biases that differ from row to row in more than a few columns.
    """

    def __init__(self, stack: "BlockStack", names: Sequence[str], *, any_length: bool) -> None:
        self._stack, self._names = stack, tuple(names)
        self._where = f"{stack._where}, streamed"
        self._span = self._rows_of_stream()
        self._widths = [stack.layout.box(name).width for name in names]
        self.columns = sum(self._widths)
        self.kept = self._overlap()
        rest = slice(self._span.start + self.kept, self._span.stop)
        beside: list[np.ndarray] = []
        self._layers = [self._looked_at(layer, rest, beside) for layer in self._stored()]
        if beside and any_length:
            raise ValueError(
                f"{self._where}: any_length must be False, as the layers' biases differ from row "
                f"to row of {names[0]!r}"
            )
        extra = sum(array.shape[1] for array in beside)
        if self.columns + 1 + extra > _MOST:
            raise ValueError(
                f"{self._where}: the layers' biases differ from row to row of {names[0]!r} in "
                f"{extra} columns, too many to be read beside the rows; a stack without a load "
                "layer, or with biases by role, has none"
            )
        self.beside = self._stood_beside(beside)
        self.width = self.columns + 1 + extra

    # What does not depend on a call.

    def _rows_of_stream(self) -> range:
        layout = self._stack.layout
        spans = {name: layout.box(name).rows for name in self._names}
        if any(name in layout.transposed for name in self._names):
            raise ValueError(
                f"{self._where}: layout must not store streamed blocks transposed, as a row of "
                f"them is then a channel of the prompt, got {layout.transposed}"
            )
        if len(set(spans.values())) > 1:
            raise ValueError(
                f"{self._where}: names must be of blocks in the same rows of the prompt, got "
                f"{ {name: (s.start, s.stop) for name, s in spans.items()} }"
            )
        return spans[self._names[0]]

    def _overlap(self) -> int:
        """How many of the first streamed rows hold parts of other blocks."""
        stack, span = self._stack, self._span
        boxes = [box for name, box in stack.layout.blocks.items() if not self._is_long(name, box)]
        boxes += [
            stack.readout.box(name)
            for name in stack.outputs
            if (name in stack.layout and not self._is_long(name, stack.layout.box(name)))
            or stack.readout.box(name).rows != span
        ]
        ends = [min(b.rows.stop, span.stop) for b in boxes if b.rows.start < span.stop]
        return max([0, *(end - span.start for end in ends)])

    def _is_long(self, name: str, box: Box) -> bool:
        """Whether a block of the layout is streamed, or made of what is by packing."""
        return box.rows == self._span and (name in self._names or name not in self._stack.inputs)

    def _stored(self) -> list[Any]:
        inner = self._stack.stack
        return [*inner.prologue, *inner.body, *inner.epilogue]

    def _looked_at(
        self, layer: Any, rest: slice, beside: list[np.ndarray]
    ) -> dict[str, np.ndarray | tuple[np.ndarray, Any]]:
        """A layer's arrays in float64; of biases the few rows, and what they are elsewhere."""
        if type(layer) not in (LSA, ELSA):
            raise ValueError(
                f"{self._where}: the layers must be LSA or ELSA, got {type(layer).__name__}, whose "
                "rows may see one another in other ways"
            )
        arrays: dict[str, Any] = {}
        for name in layer.fields:
            array = np.asarray(getattr(layer, name)[...])
            if name not in _BIASES:
                arrays[name] = array.astype(np.float64)
                continue
            ends = array[..., : rest.start, :], array[..., rest.stop :, :]
            few = np.concatenate(ends, axis=-2).astype(np.float64)
            arrays[name] = few, self._elsewhere(array[..., rest, :], beside)
        return arrays

    def _elsewhere(self, bias: np.ndarray, beside: list[np.ndarray]) -> Any:
        """A bias in the rows of the stream: one row where all are the same, else its columns
        beside them."""
        if bias.shape[-2] == 0 or (bias == bias[..., :1, :]).all():
            one = bias[..., :1, :].astype(np.float64)
            return one if one.size else np.zeros((*bias.shape[:-2], 1, bias.shape[-1]))
        flat = np.moveaxis(bias, -2, 0).reshape(bias.shape[-2], -1).astype(np.float64)
        start = self.columns + 1 + sum(array.shape[1] for array in beside)
        beside.append(flat)
        return start, (*bias.shape[:-2], bias.shape[-1])

    def _stood_beside(self, beside: list[np.ndarray]) -> np.ndarray | None:
        """The columns beside the rows, the kept ones too, which no sum uses."""
        if not beside:
            return None
        columns = np.concatenate(beside, axis=1)
        return np.concatenate([np.zeros((self.kept, columns.shape[1])), columns])

    # A call.

    def run(self, sums: Sums, given: Mapping[str, np.ndarray]) -> Answer:
        """The outputs; the few rows are packed as a call packs them."""
        stack = self._stack
        if self.kept:
            sums.begin()  # the kept rows are needed before any product is
        matrix, few = self._packed(given, sums.first)
        for layer, step in self._in_order():
            matrix, few = self._layer(sums, layer, step, matrix, few)
        rows = self._few_rows()
        place = {row: index for index, row in enumerate(rows)}
        small, tall = {}, {}
        for name in stack.outputs:
            box = stack.readout.box(name)
            here = [place[row] for row in box.rows if row in place]
            block = few[here][:, box.channels.start : box.channels.stop]
            if len(here) == box.height:
                small[name] = block.T if name in stack.readout.transposed else block
            elif box.rows != self._span or name in stack.readout.transposed:
                raise ValueError(
                    f"{self._where}: output {name!r} lies in rows {box.rows.start}:"
                    f"{box.rows.stop}, some of which are streamed and some not"
                )
            else:
                tall[name] = matrix[:, box.channels.start : box.channels.stop], block
        jaxed = {name: jnp.asarray(value, stack.dtype) for name, value in given.items()}
        decoded = stack._decode({n: jnp.asarray(v) for n, v in small.items()}, jaxed)
        return Answer({n: np.asarray(decoded[n], np.float64) for n in small}, tall)

    def _few_rows(self) -> list[int]:
        """The rows of the prompt that are not streamed, or hold more than that."""
        first = self._span.start + self.kept
        return [*range(first), *range(self._span.stop, self._stack.readout.shape[0])]

    def _packed(
        self, given: Mapping[str, np.ndarray], first: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """M of the streamed rows before the first layer, and the few rows.

        Packing acts on a row of the stream as on any other: on the rows of I it gives M.
        """
        stack, layout = self._stack, self._stack.layout
        probes = np.eye(self.columns)
        cuts = np.cumsum(self._widths)[:-1]
        probed = dict(zip(self._names, np.split(probes, cuts, axis=1), strict=True))
        jaxed = {name: jnp.asarray(v, stack.dtype) for name, v in {**given, **probed}.items()}
        blocks = {n: np.asarray(v, np.float64) for n, v in stack._encode(jaxed).items()}
        channels = stack.readout.shape[1]
        matrix = np.zeros((self.width, channels))
        rows = self._few_rows()
        few = np.zeros((len(rows), channels))
        place = {row: index for index, row in enumerate(rows)}
        for name, box in layout.blocks.items():
            columns = slice(box.channels.start, box.channels.stop)
            if self._is_long(name, box):
                matrix[: self.columns, columns] = blocks[name]
                continue
            block = blocks[name].T if name in layout.transposed else blocks[name]
            for row, line in zip(box.rows, block, strict=True):
                few[place[row], columns] = line
        start = self._span.start
        few[start : start + self.kept] += first @ matrix[: self.columns]
        return matrix, few

    def _in_order(self) -> Iterator[tuple[Mapping[str, Any], int | None]]:
        """The layers as they run, and of untied ones the step."""
        inner = self._stack.stack
        first, last = len(inner.prologue), len(self._layers) - len(inner.epilogue)
        yield from ((layer, None) for layer in self._layers[:first])
        for step in range(inner.depth):
            for layer in self._layers[first:last]:
                yield layer, (None if inner.tied else step)
        yield from ((layer, None) for layer in self._layers[last:])

    def _layer(
        self,
        sums: Sums,
        layer: Mapping[str, Any],
        step: int | None,
        matrix: np.ndarray,
        few: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        tall, own = [], []
        for name in ("q", "k", "v"):
            weight = layer[f"w{name}"]
            weight = weight if step is None else weight[step]
            on_tall, on_few = matrix @ weight, few @ weight
            if f"b{name}" in layer:
                bias, elsewhere = layer[f"b{name}"]
                on_few = on_few + (bias if step is None else bias[step])
                self._add(on_tall, elsewhere, step)
            tall.append(on_tall)
            own.append(on_few)
        contracted = np.stack(sums.of(list(zip(tall[1], tall[2], strict=True))))
        contracted = contracted + np.swapaxes(own[1], -1, -2) @ own[2]
        added, beside = (tall[0] @ contracted).sum(axis=0), (own[0] @ contracted).sum(axis=0)
        if self._stack.stack.skip == "residual":
            return matrix + added, few + beside
        return added, beside

    def _add(self, on_tall: np.ndarray, elsewhere: Any, step: int | None) -> None:
        """Adds a bias in the rows of the stream to the matrices of all heads, in place."""
        if isinstance(elsewhere, np.ndarray):
            on_tall[:, self.columns] += (elsewhere if step is None else elsewhere[step])[:, 0]
            return
        start, shape = elsewhere
        places = start + np.arange(np.prod(shape)).reshape(shape)
        places = places if step is None else places[step]
        for head, of_head in enumerate(places):
            on_tall[head, of_head, np.arange(len(of_head))] += 1.0
