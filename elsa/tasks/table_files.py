"""Tables from text files: their columns, their rows."""

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elsa.base import checks
from elsa.tasks import table_names, table_separators
from elsa.tasks.table import Table
from elsa.tasks.table_names import shown
from elsa.tasks.table_numbers import Line, numbers
from elsa.tasks.table_separators import SEPARATORS
from elsa.tasks.table_text import text_of


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
    checks.instance("read_csv", str | os.PathLike, "a path", path=path)
    checks.instance("read_csv", str, "a column's name", target=target)
    table_names.refuse_drop(drop, target)
    checks.instance("read_csv", str, "one character, or ''", separator=separator)
    checks.one_of("read_csv", "decimal", decimal, ("", ".", ","))
    named = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if len(named) > 1 or named in ('"', "\n", "\r") or (named and named == decimal):
        raise ValueError(
            "read_csv: separator must be one character, 'tab' or '', and differ from decimal and "
            f"quotes, got {separator!r}"
        )
    text = text_of(path)
    asked = re.match(r'("?)sep=(.)\1\r?\n?', text)  # a line for Excel
    text = text[asked.end() :] if asked else text
    used = named or (asked[2] if asked else table_separators.found(path, text, target))
    above = 1 if asked else 0
    header, lines = _trimmed(*_lines(path, text, used, above))
    if target not in header:
        why = table_separators.why_missing(
            text, header, target, used, above=above, is_given=bool(named)
        )
        raise table_names.missing(path, header, target, why)
    table_names.refuse(path, header, drop)
    if len(header) < 2 or not lines:
        raise ValueError(
            f"read_csv: {path} must have a covariate beside the target and at least one row, got "
            f"columns {shown(header)} and {len(lines)} rows"
        )
    _refuse_lengths(path, header, lines, used)
    header, lines = table_names.without(path, header, lines, drop)
    values = numbers(
        f"read_csv: {path}", header, lines, target=target, separator=used, decimal=decimal
    )
    place = header.index(target)
    columns = tuple(name for name in header if name != target)
    return Table(
        np.delete(values, place, axis=1), values[:, place], columns, target, Path(path).stem
    )


def _lines(
    path: str | os.PathLike[str], text: str, separator: str, above: int
) -> tuple[list[str], list[Line]]:
    """The names of the columns, and the number and entries of each line that is not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        lines = [(reader.line_num + above, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(
            f"read_csv: {path}, line {reader.line_num + above}: {error}; a quoted entry must end "
            'with a quote, and a quote in it be written twice, ""'
        ) from error
    return [name.strip() for name in lines[0][1]] if lines else [], lines[1:]


def _trimmed(header: list[str], lines: list[Line]) -> tuple[list[str], list[Line]]:
    """Without the blank entry after a separator at the end of every line."""
    count = len(header)
    if header and not header[-1] and count > 1:
        count -= 1
    elif not lines or any(len(row) <= count for _, row in lines):
        return header, lines
    if any(len(row) > count and (len(row) > count + 1 or row[-1].strip()) for _, row in lines):
        return header, lines
    return header[:count], [(line, row[:count]) for line, row in lines]


def _refuse_lengths(
    path: str | os.PathLike[str], header: Sequence[str], lines: Sequence[Line], separator: str
) -> None:
    """Refuses a row of another length than the header."""
    for line, row in lines:
        if len(row) != len(header):
            all_longer = len(lines) > 1 and all(len(own) == len(header) + 1 for _, own in lines)
            other = [name for mark, name in SEPARATORS.items() if len(row) == 1 and mark in row[0]]
            hint = ""
            if all_longer:
                hint = (
                    "; every row has one entry more than the header: delete the first column, row "
                    "names perhaps, or name it"
                )
            elif row[0].lstrip().startswith("#"):
                hint = "; it is a comment: delete the line"
            elif other:
                hint = (
                    f"; the header is separated by {SEPARATORS.get(separator, separator)!r}, this "
                    f"row perhaps by {other[0]!r}: one separator is for all lines"
                )
            raise ValueError(
                f"read_csv: {path}, line {line}: expected {len(header)} entries, got {len(row)}"
                f"{hint}"
            )
