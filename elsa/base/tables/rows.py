"""The rows of a table in a text file: its columns by name, its entries as texts or numbers."""

import csv
import io
import itertools
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from elsa.base import values as checks
from elsa.base.tables import names, separators
from elsa.base.tables.names import shown
from elsa.base.tables.numbers import Line, numbers
from elsa.base.tables.path import table_file
from elsa.base.tables.separators import SEPARATORS
from elsa.base.tables.text import text_of

_SMALL = 1_000_000  # bytes of a file that is read twice without a wait: a third of a second


class Rows(NamedTuple):
    """What a file holds beside the columns that are left out.

    header: the d names.
    lines: the number and the d entries of each line that is not blank.
    separator: of the file.
    """

    header: list[str]
    lines: list[Line]
    separator: str


def numbers_of(
    path: str | os.PathLike[str],
    target: str,
    *,
    drop: Sequence[str] = (),
    separator: str = "",
    decimal: str = "",
) -> tuple[list[str], Float[np.ndarray, "n d"]]:
    """The names of the columns, the target's among them, and all entries.

    Arguments and errors as of `elsa.tasks.read_csv`, which is a table made of it.
    """
    found = rows_of(path, target, drop=drop, separator=separator, decimal=decimal)
    values = numbers(
        f"read_csv: {path}",
        found.header,
        found.lines,
        target=target,
        separator=found.separator,
        decimal=decimal,
        dropped=drop,
    )
    return found.header, values


def refuse(
    path: str | os.PathLike[str], target: str, *, drop: str, separator: str, decimal: str
) -> None:
    """Refuses what `numbers_of` would, as far as that takes no time: of a large file the columns.

    Args:
      drop: names of columns as a config has them, in one text.

    Raises:
      OSError, KeyError, ValueError, TypeError: as `numbers_of`.
    """
    dropped = names.column_names(drop)
    if table_file(path).stat().st_size <= _SMALL:
        numbers_of(path, target, drop=dropped, separator=separator, decimal=decimal)
    else:
        rows_of(path, target, drop=dropped, separator=separator, decimal=decimal, most=2)


def rows_of(
    path: str | os.PathLike[str],
    target: str,
    *,
    drop: Sequence[str] = (),
    separator: str = "",
    decimal: str = "",
    most: int | None = None,
) -> Rows:
    """The rows as texts, up to `most` lines of the file, the header one of them.

    Arguments and errors, but for entries that are no numbers, as of `elsa.tasks.read_csv`.
    """
    checks.instance("read_csv", str | os.PathLike, "a path", path=path)
    checks.instance("read_csv", str, "a column's name", target=target)
    names.refuse_drop(drop, target)
    named = _separator(separator, decimal)
    text, above, used, header, lines = _opened(path, target, named, most)
    if target not in header:
        why = separators.why_missing(text, header, target, used, above=above, is_given=bool(named))
        raise names.missing(path, header, target, why)
    names.refuse(path, header, drop)
    if len(header) < 2 or not lines:
        raise ValueError(
            f"read_csv: {path} must have a covariate beside the target and at least one row, got "
            f"columns {shown(header)} and {len(lines)} rows"
        )
    _refuse_lengths(path, header, lines, used)
    return Rows(*names.without(path, header, lines, drop), used)


def columns_of(
    path: str | os.PathLike[str], *, separator: str = "", decimal: str = ""
) -> list[str]:
    """The names of the columns, for one who has still to choose the target.

    Arguments and errors as of `elsa.tasks.read_csv`.
    """
    *_, header, _ = _opened(path, "", _separator(separator, decimal), 2)
    return header


def _separator(separator: str, decimal: str) -> str:
    """The character that is asked for; "" where it is to be found out."""
    checks.instance("read_csv", str, "one character, or ''", separator=separator)
    checks.one_of("read_csv", "decimal", decimal, ("", ".", ","))
    named = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if len(named) > 1 or named in ('"', "\n", "\r") or (named and named == decimal):
        raise ValueError(
            "read_csv: separator must be one character, 'tab' or '', and differ from decimal and "
            f"quotes, got {separator!r}"
        )
    return named


def _opened(
    path: str | os.PathLike[str], target: str, separator: str, most: int | None
) -> tuple[str, int, str, list[str], list[Line]]:
    """Text, lines above the header, separator, header and lines."""
    text = text_of(path)
    asked = re.match(r'("?)sep=(.)\1\r?\n?', text)  # a line for Excel
    text = text[asked.end() :] if asked else text
    used = separator or (asked[2] if asked else separators.found(path, text, target))
    above = 1 if asked else 0
    return text, above, used, *_trimmed(*_lines(path, text, used, above, most))


def _lines(
    path: str | os.PathLike[str], text: str, separator: str, above: int, most: int | None
) -> tuple[list[str], list[Line]]:
    """The names of the columns, and the number and entries of each line that is not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        filled = ((reader.line_num + above, row) for row in reader if any(map(str.strip, row)))
        lines = list(itertools.islice(filled, most))
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
