"""Tables from text files: their encoding, their separator, the names of their columns."""

import csv
import difflib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elsa.base import checks, files
from elsa.tasks.table import Table
from elsa.tasks.table_numbers import Line, numbers

_SEPARATORS = {",": ",", ";": ";", "\t": "tab", "|": "|"}  # those that are found, and their names
_LOOKED_AT = 100  # lines, to find the separator
_MARKS = (  # the first bytes of a text in UTF-16 or UTF-32, the longer ones first
    *((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
)
_NO_TEXT = {
    b"PK\x03\x04": "an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
}


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
      FileNotFoundError, IsADirectoryError: where there is no such file, or it is a folder.
      KeyError: where `target` or a column of `drop` is not one, with the nearest names.
      ValueError: for another encoding, several separators that fit, no rows, no covariates, columns
        named twice or not at all, rows of another length, quotes without an end, or an entry that
        is not a finite number, naming column and line.
    """
    checks.instance("read_csv", str | os.PathLike, "a path", path=path)
    checks.instance("read_csv", str, "a column's name", target=target)
    _refuse_drop(drop, target)
    checks.instance("read_csv", str, "one character, or ''", separator=separator)
    checks.one_of("read_csv", "decimal", decimal, ("", ".", ","))
    named = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if len(named) > 1 or named in ('"', "\n", "\r") or (named and named == decimal):
        raise ValueError(
            "read_csv: separator must be one character, 'tab' or '', and differ from decimal and "
            f"quotes, got {separator!r}"
        )
    text = _text(path)
    asked = re.match(r"sep=(.)\r?\n?", text)  # a line for Excel
    text = text[asked.end() :] if asked else text
    named = named or (asked[1] if asked else _separator(path, text, target))
    above = 1 if asked else 0
    header, lines = _trimmed(*_lines(path, text, named, above))
    _refuse_names(path, header, target, drop)
    if len(header) < 2 or not lines:
        raise ValueError(
            f"read_csv: {path} must have a covariate beside the target and at least one row, got "
            f"columns {_shown(header)} and {len(lines)} rows"
        )
    _refuse_lengths(path, header, lines, named)
    header, lines = _without(path, header, lines, drop)
    values = numbers(f"read_csv: {path}", header, lines, separator=named, decimal=decimal)
    place = header.index(target)
    columns = tuple(name for name in header if name != target)
    return Table(
        np.delete(values, place, axis=1), values[:, place], columns, target, Path(path).stem
    )


def column_names(text: str) -> list[str]:
    """The names in a config's text: separated by commas, quoted where they hold one."""
    names = next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in names]


def _text(path: str | os.PathLike[str]) -> str:
    """The file's text; refuses what is none."""
    data = files.table(path).read_bytes()
    for mark, what in _NO_TEXT.items():
        if data.startswith(mark):
            raise ValueError(f"read_csv: {path} is {what} and no text; save the table as CSV")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise ValueError(
            f"read_csv: {path} must be {name}, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError(
            f"read_csv: {path} holds NUL bytes: it is no text, or UTF-16 without its mark; save it "
            "as UTF-8"
        )
    if not text.strip():
        raise ValueError(
            f"read_csv: {path} is empty; its first line must name the columns, the next lines are "
            "rows"
        )
    return text


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


def _separator(path: str | os.PathLike[str], text: str, target: str) -> str:
    """The separator that gives every line as many columns, and more than one.

    Where several do, it is the one that gives a column of the target's name; where none does, the
    one of the longest header, so that the line can be named that has another length.
    """
    sample = text.splitlines(keepends=True)[: _LOOKED_AT + 1]
    found: dict[str, list[list[str]]] = {}
    for separator in _SEPARATORS:
        rows = csv.reader(sample, delimiter=separator, skipinitialspace=True)
        try:
            found[separator] = [row for row in rows if any(map(str.strip, row))]
        except csv.Error:  # a wide line is one entry to another separator, too long for csv
            found[separator] = []
        if len(sample) > _LOOKED_AT:
            del found[separator][-1:]  # it may go on
    lengths = {separator: {len(row) for row in rows} for separator, rows in found.items()}
    fits = [s for s, seen in lengths.items() if len(seen) == 1 and max(seen) > 1]
    header = {s: [name.strip() for name in rows[0]] if rows else [] for s, rows in found.items()}
    if len(fits) > 1:
        fits = [s for s in fits if target in header[s]] or fits
    if len(fits) > 1:
        names = " or ".join(repr(_SEPARATORS[s]) for s in fits)
        raise ValueError(
            f"read_csv: the columns of {path} may be separated by {names}; say which by separator "
            "(data.separator in a config)"
        )
    return fits[0] if fits else max(header, key=lambda s: len(header[s]))


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


def _refuse_names(
    path: str | os.PathLike[str], header: list[str], target: str, drop: Sequence[str]
) -> None:
    """Refuses a header whose columns cannot be told apart, or that has no target."""
    for number, name in enumerate(header, start=1):
        pandas_saved_it_again = re.fullmatch(r"Unnamed: \d+", name) and name not in drop
        if not name or pandas_saved_it_again:
            called = f"is named {name!r}" if name else "has no name"
            index = ", as the index that pandas saves (to_csv(.., index=False) leaves it out)"
            raise ValueError(
                f"read_csv: column {number} of {path} {called}{index if number == 1 else ''}; "
                "delete it, or name it in the first line to keep it as a covariate"
            )
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        first, second = [number for number, name in enumerate(header, 1) if name == twice][:2]
        raise ValueError(
            f"read_csv: column names must differ, got {twice!r} twice in {path}, as columns "
            f"{first} and {second}; rename one"
        )
    if target in header:
        return
    near = difflib.get_close_matches(target, header, n=3)
    if near:
        hint = f"; did you mean {' or '.join(map(repr, near))}?"
    elif len(header) == 1:
        hint = (
            "; columns are separated by a comma, a semicolon, a tab or |, or by what separator "
            "(data.separator in a config) says"
        )
    elif all(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", name) for name in header):
        hint = "; the first line must name the columns"
    else:
        hint = ""
    raise KeyError(
        f"read_csv: target must be a column of {path}: {_shown(header)}, got {target!r}{hint}"
    )


def _refuse_lengths(
    path: str | os.PathLike[str], header: Sequence[str], lines: Sequence[Line], separator: str
) -> None:
    """Refuses a row of another length than the header."""
    for line, row in lines:
        if len(row) != len(header):
            all_longer = len(lines) > 1 and all(len(own) == len(header) + 1 for _, own in lines)
            other = [name for mark, name in _SEPARATORS.items() if len(row) == 1 and mark in row[0]]
            hint = ""
            if all_longer:
                hint = (
                    "; every row has one entry more than the header: delete the first column, row "
                    "names perhaps, or name it"
                )
            elif other:
                hint = (
                    f"; the header is separated by {_SEPARATORS.get(separator, separator)!r}, this "
                    f"row perhaps by {other[0]!r}: one separator is for all lines"
                )
            raise ValueError(
                f"read_csv: {path}, line {line}: expected {len(header)} entries, got {len(row)}"
                f"{hint}"
            )


def _refuse_drop(drop: Sequence[str], target: str) -> None:
    """Refuses anything but names of columns, and the target among them."""
    checks.instance("read_csv", list | tuple, "a tuple of columns' names", drop=drop)
    for name in drop:
        checks.instance("read_csv", str, "a tuple of columns' names", drop=name)
        if name == target:
            raise ValueError(f"read_csv: drop must leave the target, got {target!r} in it")


def _without(
    path: str | os.PathLike[str], header: list[str], lines: list[Line], drop: Sequence[str]
) -> tuple[list[str], list[Line]]:
    """The columns that are kept."""
    for name in drop:
        if name not in header:
            near = difflib.get_close_matches(name, header, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise KeyError(
                f"read_csv: drop must name columns of {path}: {_shown(header)}, got {name!r}{hint}"
            )
    places = [place for place, name in enumerate(header) if name not in drop]
    if len(places) < 2:
        raise ValueError(
            f"read_csv: drop must leave a covariate beside the target of {path}, got {list(drop)}"
        )
    if len(places) == len(header):
        return header, lines
    kept = [(line, [row[place] for place in places]) for line, row in lines]
    return [header[place] for place in places], kept


def _shown(header: Sequence[str]) -> str:
    """The names, the first of them where there are many."""
    if len(header) <= 20:
        return str(list(header))
    return f"{str(list(header[:20]))[:-1]}, .. {len(header) - 20} more]"
