"""Rows that come in blocks: of an array, an iterator, or a function that makes one for every pass.

A block is an array [rows, columns], or a tuple of arrays that stand side by side, 1-D ones as
columns. Blocks may have any number of rows, none included; `Rows` looks at each as it comes.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

from elsa.base import checks
from elsa.base.row_progress import shown

if TYPE_CHECKING:
    from rich.console import Console

RowSource: TypeAlias = Any
"""An array or data frame [n, m], an iterable of blocks, or a function that returns such blocks."""

_PIECE = 2**18  # numbers that are worked on at once: 2 MiB of float64, which a cache holds


class Rows:
    """A source of blocks, read as float64 pieces that a cache holds.

    Args:
      where: the caller; messages start with it.
      source: the blocks.
      columns: how many each has; None takes those of the first block.
      what: what the columns are, for messages: "20 of X, 1 of y".
      screen: where a long pass shows how far it is; nothing where None.

    Attributes:
      is_again: whether the source can be read more than once.
      count: rows of a whole pass; None before one.

    Raises:
      TypeError: for a source that gives no blocks, a path among them.
    """

    def __init__(
        self,
        where: str,
        source: RowSource,
        columns: int | None = None,
        *,
        what: str = "",
        screen: "Console | None" = None,
    ) -> None:
        self.where, self.columns, self.what, self._screen = where, columns, what, screen
        self.count: int | None = None
        self._kind: np.dtype | None = None
        if isinstance(source, str | bytes | os.PathLike):
            raise TypeError(
                f"{where}: rows must be blocks of rows, got the path {str(source)!r}; "
                "tasks.NpyRows(path) and tasks.ParquetRows(path) read files"
            )
        if isinstance(source, jax.core.Tracer):
            raise TypeError(f"{where}: rows are read one after another, which jax cannot trace")
        if hasattr(source, "collect") and not isinstance(source, Iterable):
            raise TypeError(
                f"{where}: rows must be numbers, got a plan of a table ({type(source).__name__}); "
                ".collect() makes it a table, which is taken as it is"
            )
        if hasattr(source, "to_numpy"):  # a table, which would be iterated over by its columns
            source = source.to_numpy()
            checks.real(where, rows=source)
        if isinstance(source, np.ndarray | jax.Array):
            checks.shapes(where, rows=(source, "n m"))
            self._make: Callable[[], Iterable[Any]] = lambda: (source,)
            self.is_again = True
        elif callable(source) and not isinstance(source, Iterable):
            self._make, self.is_again = source, True
        elif isinstance(source, Iterable) and not isinstance(source, dict):
            self._make, self.is_again = lambda: source, iter(source) is not source
        else:
            raise TypeError(
                f"{where}: rows must be an array, an iterable of blocks [rows, columns], or a "
                f"function that makes one, got {source!r} ({type(source).__name__})"
            )

    def pieces(self) -> Iterator[np.ndarray]:
        """One pass: float64 pieces [k, columns], finite, k from 1 on.

        Raises:
          TypeError: for a block without real numbers, or of another dtype than those before.
          ValueError: for another number of columns, NaN or infinity, naming block and row, no row
            at all, or another number of rows than an earlier pass had.
        """
        total, number = 0, 0
        blocks = self._blocks()
        with contextlib.closing(shown(self._looked_at(blocks), self.where, self._screen)) as looked:
            for number, block in looked:
                step = max(1, _PIECE // max(1, block.shape[1]))
                for start in range(0, len(block), step):
                    piece = np.asarray(block[start : start + step], np.float64, order="C")
                    with np.errstate(over="ignore", invalid="ignore"):
                        whole = np.isfinite(piece.sum())
                    if not whole:
                        self._refuse_values(piece, number, start, total)
                    yield piece
                total += len(block)
        if not total:
            raise ValueError(
                f"{self.where}: rows must have at least one row, got {number} blocks and no rows; "
                "an iterator that was read before gives nothing: give a function that makes one"
            )
        if self.count is not None and self.count != total:
            raise ValueError(
                f"{self.where}: rows gave {self.count} rows in the first pass and {total} in "
                "another; a function given as rows must make a fresh iterator at every call"
            )
        self.count = total

    def _blocks(self) -> Iterable[Any]:
        blocks = self._make()
        if not isinstance(blocks, Iterable):
            raise TypeError(
                f"{self.where}: the function given as rows must return an iterable of blocks, got "
                f"{blocks!r} ({type(blocks).__name__})"
            )
        return blocks

    def _looked_at(self, blocks: Iterable[Any]) -> Iterator[tuple[int, np.ndarray]]:
        for number, given in enumerate(blocks, start=1):
            yield number, self._looked(number, given)

    def _looked(self, number: int, given: Any) -> np.ndarray:
        """A block as one array, its type and columns looked at."""
        name = f"block {number} of rows"
        if isinstance(given, tuple):
            block = self._side_by_side(name, given)
        else:
            checks.real(self.where, **{name: given})
            block = np.asarray(given)
        if block.ndim != 2:
            raise ValueError(
                f"{self.where}: {name} must have two axes (rows, columns), got shape {block.shape}"
            )
        if self.columns is None:
            self.columns = block.shape[1]
        if block.shape[1] != self.columns:
            told = f" ({self.what})" if self.what else ", as the first has"
            raise ValueError(
                f"{self.where}: {name} must have {self.columns} columns{told}, got shape "
                f"{block.shape}"
            )
        if self._kind is None and len(block):
            self._kind = block.dtype
        if len(block) and block.dtype != self._kind:
            raise TypeError(
                f"{self.where}: {name} must have the dtype {self._kind} of those before, got "
                f"{block.dtype}; convert them with astype"
            )
        return block

    def _side_by_side(self, name: str, parts: tuple[Any, ...]) -> np.ndarray:
        arrays = []
        for place, part in enumerate(parts):
            checks.real(self.where, **{f"part {place} of {name}": part})
            array = np.asarray(part)
            arrays.append(array[:, None] if array.ndim == 1 else array)
        shapes = [array.shape for array in arrays]
        if (
            not arrays
            or any(len(shape) != 2 for shape in shapes)
            or len({s[0] for s in shapes}) > 1
        ):
            raise ValueError(
                f"{self.where}: {name} must be a tuple of arrays with the same rows, got shapes "
                f"{shapes}"
            )
        return np.concatenate(arrays, axis=1)

    def _refuse_values(self, piece: np.ndarray, number: int, start: int, before: int) -> None:
        """Refuses NaN and infinity; a sum that is infinite of finite numbers is none."""
        bad = ~np.isfinite(piece)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{self.where}: rows must be finite, got {piece[row, column]} in column {column} "
                f"of row {before + start + row} (row {start + row} of block {number}; both count "
                "from 0); leave such rows out, or fill them"
            )
