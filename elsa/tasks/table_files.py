"""Tables from text files."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elsa.base.tables import rows
from elsa.tasks.table import Table


def read_csv(
    path: str | os.PathLike[str],
    target: str,
    *,
    drop: Sequence[str] = (),
    separator: str = "",
    decimal: str = "",
) -> Table:
    """A table from a CSV file with a header line: the target column, and all others as covariates.

    Args:
      path: of a text in UTF-8, or in UTF-16 with its mark; `~` is the home folder.
      target: the column of the labels.
      drop: columns that are left out, whatever stands in them.
      separator: of columns; "" finds out which of comma, semicolon, tab and | it is.
      decimal: the decimal mark, "." or ","; "" finds out which, where columns have another
        separator than the comma, and is "." elsewhere.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: where there is no such file, or it is a folder,
        or cannot be read.
      KeyError: where `target` or a column of `drop` is not one, with the nearest names, another
        separator that fits, or the line that names the columns.
      ValueError: for another encoding, several separators that fit, no rows, no covariates, columns
        named twice or not at all, rows of another length, quotes without an end, or an entry that
        is not a finite number, naming column and line.
    """
    header, values = rows.numbers_of(path, target, drop=drop, separator=separator, decimal=decimal)
    place = header.index(target)
    columns = tuple(name for name in header if name != target)
    return Table(
        np.delete(values, place, axis=1), values[:, place], columns, target, Path(path).stem
    )
