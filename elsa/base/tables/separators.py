"""What separates the columns of a table: found out, or why what was given does not."""

import csv
import os
import re

SEPARATORS = {",": ",", ";": ";", "\t": "tab", "|": "|"}  # those that are found, and their names
_LOOKED_AT = 100  # lines, to find the separator, and the names of the columns
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")


def found(path: str | os.PathLike[str], text: str, target: str) -> str:
    """The separator that gives every line as many columns, and more than one.

    Where several do, it is the one that gives a column of the target's name; where none does, the
    one of the longest header, so that the line can be named that has another length.
    """
    sample = text.splitlines(keepends=True)[: _LOOKED_AT + 1]
    rows_of: dict[str, list[list[str]]] = {}
    for separator in SEPARATORS:
        rows = csv.reader(sample, delimiter=separator, skipinitialspace=True)
        try:
            rows_of[separator] = [row for row in rows if any(map(str.strip, row))]
        except csv.Error:  # a wide line is one entry to another separator, too long for csv
            rows_of[separator] = []
        if len(sample) > _LOOKED_AT:
            del rows_of[separator][-1:]  # it may go on
    lengths = {separator: {len(row) for row in rows} for separator, rows in rows_of.items()}
    fits = [s for s, seen in lengths.items() if len(seen) == 1 and max(seen) > 1]
    header = {s: [name.strip() for name in rows[0]] if rows else [] for s, rows in rows_of.items()}
    if len(fits) > 1:
        fits = [s for s in fits if target in header[s]] or fits
    if len(fits) > 1:
        names = " or ".join(repr(SEPARATORS[s]) for s in fits)
        raise ValueError(
            f"read_csv: the columns of {path} may be separated by {names}; say which by separator "
            "(data.separator in a config)"
        )
    return fits[0] if fits else max(header, key=lambda s: len(header[s]))


def why_missing(
    text: str, header: list[str], target: str, separator: str, *, above: int, is_given: bool
) -> str:
    """Why a header lacks the target: another separator, or lines above the names; "" if neither.

    Args:
      text: of the file.
      header: its first line, as `separator` separates it.
      target: the column that was asked for.
      separator: of columns; is_given: by the user.
      above: lines of the file above the text.
    """
    lines = text.splitlines()[:_LOOKED_AT]
    numbered = [(number, line) for number, line in enumerate(lines, above + 1) if line.strip()]
    if not numbered:  # nothing below a line for Excel
        return ""
    first, *others = numbered
    marks = dict.fromkeys(SEPARATORS)
    if len(header) == 1:  # or any other character that might be one
        marks |= dict.fromkeys(c for c in first[1] if not c.isalnum() and c not in "\"'_-.")
    for mark in marks:
        if mark != separator and target in _names(first[1], mark):
            named = repr(SEPARATORS.get(mark, mark))
            key = "separator (data.separator in a config)"
            if not is_given:
                return f"; {key} may be {named}, which makes it a column"
            way_out = f"leave it out, or say {named}" if mark in SEPARATORS else f"say {named}"
            given = repr(SEPARATORS.get(separator, separator))
            return f"; {key} was given as {given}, and {named} separates the first line: {way_out}"
    for number, line in others:
        for mark in dict.fromkeys((separator, *SEPARATORS)):
            names = _names(line, mark)
            is_header = all(names) and not any(map(_NUMBER.fullmatch, names))
            if target in names and is_header and len(set(names)) == len(names):
                is_comment = first[1].lstrip().startswith(("#", "%", "//"))
                what = "is a comment" if is_comment else "does not name the columns"
                return (
                    f"; line {first[0]} {what}, line {number} names them: delete what is above it, "
                    "the first line must name the columns"
                )
    return ""


def _names(line: str, separator: str) -> list[str]:
    """The entries of a line, where there are several."""
    try:
        row = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [name.strip() for name in row] if len(row) > 1 else []
