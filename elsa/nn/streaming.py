"""Stacks over rows that come in blocks: any number of rows, in memory that does not grow with them.

A head (H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv) without softmax needs of the context the sum over rows
(H Wk + Bk)^T (H Wv + Bv) alone, and then acts row by row.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.base.precision import exact
from elsa.base.rows import Rows, RowSource
from elsa.nn.arguments import looked_at
from elsa.nn.tall import FORMS, Sums, TallBlock, read_once

if TYPE_CHECKING:
    from rich.console import Console

    from elsa.nn.block_stack import BlockStack


class Answer(NamedTuple):
    """What a program came to.

    small: outputs without a row for each row of the source.
    tall: outputs with one: the matrix M of Z M, and the first rows, which are known.
    """

    small: dict[str, np.ndarray]
    tall: dict[str, tuple[np.ndarray, np.ndarray]]


@runtime_checkable
class Program(Protocol):
    """A stack as sums over rows and small products.

    width: columns of Z, those of the source, a 1, and `beside`.
    kept: how many of the first rows are handled one by one.
    beside: numbers beside every row, [rows, extra], or None.
    """

    width: int
    kept: int
    beside: np.ndarray | None

    def run(self, sums: Sums, given: Mapping[str, np.ndarray]) -> Answer: ...


class Streamed:
    """A stack, some of whose blocks are read from a source of rows; made by `stack.streamed`.

        streamed = stack.streamed("X", "y")
        print(streamed.passes, streamed.why)
        out = streamed(rows, w=w, lam=0.1)

    `rows` has the columns of the named blocks side by side, in that order: here those of X, then
    y. All products and sums are float64, whatever the stack computes in; what a call returns has
    the stack's dtype.

    Attributes:
      names: the blocks that are read from the source.
      columns: how many columns the source has.
      form: "gram" or "rows".
      passes: how often a call reads the source, at most; an output that has a row for each of the
        source's takes one more each time it is read.
      why: what takes so many.
    """

    def __init__(
        self,
        stack: "BlockStack",
        names: Sequence[str],
        program: Program,
        *,
        form: str,
        any_length: bool,
        screen: "Console | None",
    ) -> None:
        self._stack, self.names, self._program = stack, tuple(names), program
        self.form, self._any_length, self._screen = form, any_length, screen
        self._shapes = {name: checks.matrix_shape(stack.inputs[name]) for name in self.names}
        self.columns = sum(width for _, width in self._shapes.values())
        if form == "gram":
            self.passes = 1
            self.why = "all layers read the rows through G, the sum of z z^T over rows z"
        else:
            counted = Sums(None, form, program.width, kept=program.kept, beside=program.beside)
            drawn = np.random.default_rng(0)  # numbers of which none is zero by itself
            given = {n: drawn.normal(size=shape) for n, shape in self._small_shapes().items()}
            with np.errstate(all="ignore"):
                program.run(counted, given)
            self.passes = max(1, counted.passes)
            first = f", one more for the first {program.kept}" if program.kept else ""
            layers = counted.passes - bool(program.kept)
            self.why = f"{layers} of {stack.num_layers} layers sum over rows{first}"

    @exact
    def __call__(self, rows: RowSource, /, **blocks: AnyShape) -> dict[str, Any]:
        """The outputs, as a call of the stack with all rows in memory gives them.

        Args:
          rows: an array [n, columns], an iterable of arrays [k, columns], or a function that makes
            one. A block may be a tuple of arrays side by side, as (X, y); `tasks.NpyRows` and
            `tasks.ParquetRows` read files.
          **blocks: the other inputs, as for a call of the stack.

        Returns:
          Arrays, and for an output with a row for each row of the source an iterable of arrays,
          which reads the source once more each time.

        Raises:
          KeyError, TypeError: as a call of the stack, and for a source that gives no blocks.
          ValueError: as a call; for blocks that do not fit, NaN or infinity, naming block and row;
            for another number of rows than the stack has; and for a source that can be read once
            where there are several passes.
        """
        stack, where = self._stack, f"{self._stack._where}, streamed"
        small = looked_at(where, stack._filled(blocks), self._small_shapes(), stack.dtype)
        read = self._read(rows)
        read_once(where, rows, read, self.passes, self.why)
        program = self._program
        sums = Sums(read, self.form, program.width, kept=program.kept, beside=program.beside)
        given = {name: np.asarray(block, np.float64) for name, block in small.items()}
        sums.start()
        if self.form == "gram":
            self._look_at_rows(read, sums, small)
        with np.errstate(over="ignore", invalid="ignore"):
            answer = program.run(sums, given)
        if self.form != "gram":
            sums.begin()
            self._look_at_rows(read, sums, small)
        out: dict[str, Any] = {}
        for name in stack.outputs:
            if name in answer.tall:
                out[name] = self._tall(rows, name, answer)
            else:
                axes = np.ndim(blocks[name]) if name in blocks else len(stack.outputs[name])
                value = jnp.asarray(answer.small[name], stack.dtype)
                out[name] = value.reshape(value.shape[:axes])
        return out

    def __repr__(self) -> str:
        return (
            f"{self._stack.name}, streamed over {', '.join(self.names)}: form {self.form!r}, "
            f"{self.passes} passes: {self.why}"
        )

    def _small_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: checks.matrix_shape(shape)
            for name, shape in self._stack.inputs.items()
            if name not in self.names
        }

    def _read(self, rows: RowSource) -> Rows:
        widths = ", ".join(f"{width} of {name}" for name, (_, width) in self._shapes.items())
        where = f"{self._stack._where}, streamed"
        return Rows(where, rows, self.columns, what=widths, screen=self._screen)

    def _look_at_rows(self, read: Rows, sums: Sums, small: Mapping[str, Any]) -> None:
        """Looks at how many rows there were, and at what the stack wants of them.

        Its check sees as many rows as columns that have the same products, R^T R = G.
        """
        height = next(iter(self._shapes.values()))[0]
        if read.count != height and not self._any_length:
            raise ValueError(
                f"{read.where}: rows must give the {height} rows that the stack was made for, got "
                f"{read.count}; make it for {read.count}, or say any_length=True where its numbers "
                "do not depend on how many rows there are"
            )
        if (read.count or 0) < self._program.kept:
            raise ValueError(
                f"{read.where}: rows must give at least {self._program.kept} rows, beside which "
                f"other blocks lie in the prompt, got {read.count}"
            )
        gram = sums.gram[: self.columns, : self.columns] + sums.first.T @ sums.first
        values, vectors = np.linalg.eigh(gram)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        blocks, place = dict(small), 0
        for name, (_, width) in self._shapes.items():
            blocks[name] = root[:, place : place + width]
            place += width
        self._stack._check(blocks)

    def _tall(self, rows: RowSource, name: str, answer: Answer) -> TallBlock:
        matrix, first = answer.tall[name]
        where = f"output {name!r} of {self._stack._where}, streamed"
        beside, dtype = self._program.beside, self._stack.dtype

        def again() -> Rows:
            read = self._read(rows)
            if not read.is_again:
                raise ValueError(
                    f"{where}: it has a row for each row of the source, which can be read once; "
                    "give a function that makes a fresh one"
                )
            return read

        return TallBlock(again, matrix, first=first, beside=beside, dtype=dtype)


def require_streamable(stack: "BlockStack", names: Sequence[str], form: str) -> None:
    """Refuses names that are not inputs, or whose blocks do not have the same rows.

    Raises:
      TypeError, KeyError, ValueError: naming what came, and what can be given.
    """
    where = f"{stack._where}, streamed"
    checks.one_of(where, "form", form, FORMS)
    for name in names:
        checks.instance(where, str, "names of blocks, as streamed('X', 'y')", names=name)
    checks.known_names(where, "block", names, stack.inputs)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{where}: names must name blocks, each once, got {list(names)}; inputs are "
            f"{list(stack.inputs)}"
        )
    heights = {name: checks.matrix_shape(stack.inputs[name])[0] for name in names}
    if len(set(heights.values())) > 1:
        raise ValueError(
            f"{where}: names must be of blocks with the same rows, as a source has them side by "
            f"side, got {heights} rows"
        )
