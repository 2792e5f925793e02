"""Real regression data: scikit-learn's diabetes table, or a table of the user's own."""

import csv
import dataclasses
import difflib
import io
import math
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from elsa.base import checks


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Covariates and labels of one regression problem, with the names of the columns.

    x: [n, d].  y: [n].  columns: d names.  target: name of y.  name: what the data is, for reports.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, " n"]
    columns: tuple[str, ...]
    target: str
    name: str


def diabetes() -> Table:
    """scikit-learn's diabetes data, unscaled: 442 patients, 10 covariates, disease progression."""
    from sklearn.datasets import load_diabetes  # scikit-learn takes a second to import

    data = load_diabetes(scaled=False)
    return Table(
        np.asarray(data.data, dtype=np.float64),
        np.asarray(data.target, dtype=np.float64),
        tuple(data.feature_names),
        "progression",
        "diabetes",
    )


def read_csv(path: str, target: str) -> Table:
    """A table from a CSV file with a header line: the target column, and all others as covariates.

    Raises:
      FileNotFoundError: where there is no such file.
      KeyError: where `target` is not a column, with the nearest names.
      ValueError: for another encoding than UTF-8, no rows, no covariates, columns named twice,
        rows of another length, or an entry that is not a finite number, naming column and line.
    """
    checks.instance("read_csv", str | os.PathLike, "a path", path=path)
    checks.instance("read_csv", str, "a column's name", target=target)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"read_csv: path must be a CSV file, got {path!r}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"read_csv: {path} must be UTF-8, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save it as UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    rows = [(reader.line_num, row) for row in reader if row]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"read_csv: column names must differ, got {twice!r} twice in {path}")
    if target not in header:
        near = difflib.get_close_matches(target, header, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise KeyError(
            f"read_csv: target must be a column of {path}: {header}, got {target!r}{hint}"
        )
    if len(header) < 2 or not rows:
        raise ValueError(
            f"read_csv: {path} must have a covariate beside the target and at least one row, got "
            f"columns {header} and {len(rows)} rows"
        )
    values = np.array([_numbers(path, header, line, row) for line, row in rows])
    place = header.index(target)
    columns = tuple(name for name in header if name != target)
    return Table(np.delete(values, place, axis=1), values[:, place], columns, target, file.stem)


def _numbers(path: str, header: list[str], line: int, row: list[str]) -> list[float]:
    if len(row) != len(header):
        raise ValueError(
            f"read_csv: {path}, line {line}: expected {len(header)} entries, got {len(row)}"
        )
    numbers = []
    for name, entry in zip(header, row, strict=True):
        try:
            numbers.append(float(entry))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise ValueError(
                f"read_csv: {path}, line {line}, column {name!r}: expected a finite number, got "
                f"{entry!r}; encode categories as numbers and fill or drop missing entries first"
            )
    return numbers


def standardised(table: Table) -> Table:
    """Covariates with mean 0 and population standard deviation 1, labels with mean 0.

    Raises:
      ValueError: naming a column that is constant, which cannot be scaled.
    """
    checks.instance("standardised", Table, "a Table", table=table)
    checks.finite("standardised", x=table.x, y=table.y)
    spread = table.x.std(axis=0)
    flat = spread <= 1e-12 * np.maximum(np.abs(table.x).max(axis=0), 1e-300)
    if flat.any():
        name = table.columns[int(np.argmax(flat))]
        raise ValueError(
            f"standardised: column {name!r} of {table.name} is constant and cannot be scaled to "
            "standard deviation 1; leave it out"
        )
    x = (table.x - table.x.mean(axis=0)) / spread
    return dataclasses.replace(table, x=x, y=table.y - table.y.mean())
