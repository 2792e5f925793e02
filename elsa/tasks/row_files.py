"""Files as rows that come in blocks: .npy by a memory map, Parquet a stretch at a time."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.base import checks

if TYPE_CHECKING:
    import polars as pl

_BLOCK_ROWS = 65_536


class NpyRows:
    """The rows of an array [n, m] in a .npy file, which is never read whole.

    Iterating gives blocks [k, m], as often as asked: what `streamed` of a stack, `streamed_gram`
    and `AttentionRidge.fit_stream` take as `rows`.

    Args:
      path: of a file that `numpy.save` wrote.
      block_rows: rows of a block; the last has what is left.

    Attributes:
      num_rows, num_columns: n and m.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: where there is no file that can be read.
      ValueError: for what is no .npy file, a file that ends before its last row, or an array with
        another number of axes. TypeError: for an array that does not hold real numbers.
    """

    def __init__(self, path: str | os.PathLike[str], *, block_rows: int = _BLOCK_ROWS) -> None:
        self.path = _file("NpyRows", path)
        checks.size("NpyRows", block_rows=(block_rows, 1))
        self._block_rows = int(block_rows)
        self.num_rows, self.num_columns = self._mapped().shape

    def __iter__(self) -> Iterator[np.ndarray]:
        array = self._mapped()
        if array.shape != (self.num_rows, self.num_columns):
            raise ValueError(
                f"NpyRows: {self.path} held an array of shape "
                f"{(self.num_rows, self.num_columns)} and holds one of {array.shape} now"
            )
        for start in range(0, self.num_rows, self._block_rows):
            yield np.array(array[start : start + self._block_rows])

    def __repr__(self) -> str:
        return f"NpyRows({str(self.path)!r}, {self.num_rows} x {self.num_columns})"

    def _mapped(self) -> np.ndarray:
        """The array, of which only what is used comes into memory."""
        try:
            array = np.load(self.path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            size = self.path.stat().st_size
            raise ValueError(
                f"NpyRows: {self.path} ({size} bytes) must be a whole .npy file, as numpy.save "
                f"writes it; it is another, or was cut off: {error}"
            ) from error
        if not isinstance(array, np.ndarray):  # an archive of several
            array.close()
            raise ValueError(
                f"NpyRows: {self.path} must hold one array, got an .npz archive; save the array "
                "by itself with numpy.save"
            )
        checks.real("NpyRows", **{str(self.path): array})
        if array.ndim != 2:
            raise ValueError(
                f"NpyRows: {self.path} must hold an array with two axes (rows, columns), got shape "
                f"{array.shape}"
            )
        return array


class ParquetRows:
    """The rows of a Parquet file, of some columns in the order asked for, never read whole.

    Iterating gives blocks [k, m], as often as asked, float32 where all columns are float32 or
    smaller, and float64 otherwise. Memory is that of a few row groups of the file.

    Args:
      path: of the file.
      columns: names; all of the file where None. Labels come last, as `fit_stream` wants them.
      block_rows: rows of a block; the last has what is left.

    Attributes:
      columns: the names.
      num_rows, num_columns: n and m.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: where there is no file that can be read.
      KeyError: for a column that the file lacks, with the nearest names.
      ValueError: for what is no Parquet file, or no columns. TypeError: for a column without real
        numbers.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Sequence[str] | None = None,
        *,
        block_rows: int = _BLOCK_ROWS,
    ) -> None:
        self.path = _file("ParquetRows", path)
        checks.size("ParquetRows", block_rows=(block_rows, 1))
        self._block_rows = int(block_rows)
        kinds = self._kinds()
        self.columns = _chosen(columns, kinds)
        self._kind = self._common(kinds)
        self.num_columns = len(self.columns)
        self.num_rows = self._length()

    def __iter__(self) -> Iterator[np.ndarray]:
        import polars as pl

        table = pl.scan_parquet(self.path).select(pl.col(self.columns).cast(self._kind))
        for start in range(0, self.num_rows, self._block_rows):
            try:
                block = table.slice(start, self._block_rows).collect()
            except pl.exceptions.PolarsError as error:
                raise ValueError(
                    f"ParquetRows: {self.path} cannot be read from row {start} on: {error}"
                ) from error
            missing = [name for name in self.columns if block[name].null_count()]
            if missing:
                row = start + int(block[missing[0]].is_null().arg_max() or 0)
                raise ValueError(
                    f"ParquetRows: {self.path} must have a number everywhere, got nothing in "
                    f"column {missing[0]!r} of row {row} (rows count from 0); fill it, or leave "
                    "the row out"
                )
            yield block.to_numpy()

    def __repr__(self) -> str:
        return f"ParquetRows({str(self.path)!r}, {self.num_rows} x {self.num_columns})"

    def _kinds(self) -> dict[str, "pl.DataType"]:
        import polars as pl

        try:
            return dict(pl.scan_parquet(self.path).collect_schema())
        except pl.exceptions.PolarsError as error:
            raise ValueError(
                f"ParquetRows: {self.path} must be a whole Parquet file; it is another, or was cut "
                f"off: {error}"
            ) from error

    def _length(self) -> int:
        import polars as pl

        return int(pl.scan_parquet(self.path).select(pl.len()).collect().item())

    def _common(self, kinds: dict[str, "pl.DataType"]) -> Any:
        import polars as pl

        for name in self.columns:
            if not kinds[name].is_numeric():
                raise TypeError(
                    f"ParquetRows: column {name!r} of {self.path} must hold numbers, got "
                    f"{kinds[name]}; name the columns to read with columns=, or convert it"
                )
        short = {pl.Float32, pl.Int8, pl.Int16, pl.UInt8, pl.UInt16}
        return pl.Float32 if {kinds[n].base_type() for n in self.columns} <= short else pl.Float64


def _chosen(columns: Sequence[str] | None, known: dict[str, Any]) -> list[str]:
    if columns is None:
        return list(known)
    names = list(columns) if isinstance(columns, list | tuple) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"ParquetRows: columns must be a list of names, got {columns!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"ParquetRows: columns must name each column once, got {names}")
    checks.known_names("ParquetRows", "column", names, known)
    return names


def _file(where: str, path: Any) -> Path:
    """The path of a file that is there; `~` is the home folder."""
    checks.instance(where, str | os.PathLike, "a path", path=path)
    place = Path(path).expanduser()
    if place.is_dir():
        raise IsADirectoryError(f"{where}: path must be a file, got the folder {str(path)!r}")
    if not place.is_file():
        raise FileNotFoundError(f"{where}: path must be a file, got {str(path)!r}; there is none")
    return place
