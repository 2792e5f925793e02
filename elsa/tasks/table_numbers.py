"""Entries of a text file as numbers, and what to do about those that are none."""

import math
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Line = tuple[int, list[str]]  # its number in the file, from 1, and its entries

_MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "-", "--", "?", ".")
_YES_NO = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
_DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2}.*)?|\d{4}-\d{2}"
_THOUSANDS = r"[+-]?\d{1,3}([,.' \u2019\u00a0\u202f])\d{3}(\1\d{3})*([.,]\d+)?"
# a mark between thousands and another one before the fraction: which is which is sure
_POINTS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+", re.ASCII)
_COMMAS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+", re.ASCII)
_MINUS = chr(0x2212)
_SHOWN = 40  # characters of an entry, in an error


def numbers(
    where: str, header: Sequence[str], lines: Sequence[Line], *, separator: str, decimal: str
) -> Float[np.ndarray, "n d"]:
    """The entries as numbers.

    Args:
      where: what errors start with.
      header: names of the d columns.
      lines: the n rows, of d entries.
      separator: of the file.
      decimal: "." or ","; "" finds out which.

    Raises:
      ValueError: for an entry that is not a finite number, naming its line and column.
    """
    mark = decimal or _decimal(lines, separator)
    shape, is_sure = _shape(mark), not decimal and mark == ","  # it is found where it is sure
    values = np.empty((len(lines), len(header)))
    for index, (line, row) in enumerate(lines):
        for place, entry in enumerate(row):
            value = _number(entry, mark, shape)
            if value is None:
                column = [own[place] for _, own in lines]
                hint = _hint(entry, column, header[place], mark, is_sure)
                cut = f"{entry[:_SHOWN]!r}.." if len(entry) > _SHOWN else repr(entry)
                raise ValueError(
                    f"{where}, line {line}, column {header[place]!r}: expected a finite number, "
                    f"got {cut}; {hint}"
                )
            values[index, place] = value
    return values


def _shape(mark: str) -> re.Pattern[str]:
    """Numbers with a decimal mark; Python would take 1_0, inf and digits of other scripts, too."""
    return re.compile(
        rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?", re.ASCII
    )


def _number(entry: str, mark: str, shape: re.Pattern[str]) -> float | None:
    """None for what is no number, or one that float64 does not hold."""
    text = entry.strip()
    if shape.fullmatch(text) is None:
        return None
    value = float(text.replace(mark, "."))
    lost = value == 0.0 and re.search(r"[1-9]", re.split("[eE]", text)[0])
    return None if lost or math.isinf(value) else value


def _decimal(lines: Sequence[Line], separator: str) -> str:
    """The comma, where it separates no columns, every fraction is written with it and one is sure.

    1,234 may be a thousand and more: a column of such numbers alone is no fraction. Where points
    stand between thousands, as in 1.234,5, the comma is the mark whatever else there is.
    """
    if separator == ",":
        return "."
    entries = [entry.strip() for _, row in lines for entry in row if "," in entry or "." in entry]
    points, commas = (any(map(each.fullmatch, entries)) for each in (_POINTS, _COMMAS))
    if points and not commas:
        return ","
    if commas or any(_shape(".").fullmatch(entry) for entry in entries):
        return "."
    fractions = [entry for entry in entries if _shape(",").fullmatch(entry)]
    sure = any(not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", entry) for entry in fractions)
    return "," if sure else "."


def _hint(entry: str, column: Sequence[str], name: str, mark: str, is_sure: bool) -> str:
    """What to do about an entry that is no number."""
    text, shape = entry.strip(), _shape(mark)
    low, kinds = text.lower(), list(dict.fromkeys(own.strip() for own in column))
    if low in _MISSING:
        count = sum(own.strip().lower() in _MISSING for own in column)
        return f"fill or drop missing entries first, {count} of {len(column)} in this column"
    if low.strip("+-") in ("inf", "infinity"):
        return "fill or drop such entries first"
    if shape.fullmatch(text):
        return "float64 holds sizes from 4.9e-324 to 1.8e308; scale the column"
    if re.fullmatch(r"[+-]?[\d_]+([.,][\d_]*)?([eE][+-]?\d+)?", text, re.ASCII):
        if "_" in text:
            return "write digits without _"
        other = "," if mark == "." else "."
        reads = f"decimal={other!r} (data.decimal in a config) reads it as a fraction"
        if re.fullmatch(_THOUSANDS, text):
            return "write thousands without a separator" + ("" if is_sure else f"; {reads}")
        return f"write all fractions with {mark!r}" if is_sure else reads
    if re.fullmatch(_DATE, text):
        return "make dates and times numbers first, such as days since the first"
    if re.fullmatch(_THOUSANDS, text):
        return "write thousands without a separator"
    if any({kind.lower() for kind in kinds} <= pair for pair in _YES_NO):
        return "write 1 and 0 for yes and no"
    usual = unicodedata.normalize("NFKC", text).replace(_MINUS, "-")
    if shape.fullmatch(usual):
        return f"write it with ASCII digits and signs, {usual}"
    if re.fullmatch(r"[^\w.,+-]?\s?[+-]?\d[\d.,]*\s?[^\d\s]{0,5}", text):
        return "write the number alone, without its unit"
    wrong = sum(shape.fullmatch(own.strip()) is None for own in column)
    if 2 * wrong < len(column):
        return f"mend or drop such entries, {wrong} of {len(column)} in this column"
    shown = ", ".join(repr(kind[:_SHOWN]) for kind in kinds[:5]) + ", .." * (len(kinds) > 5)
    return (
        f"encode categories as numbers, a column of 0 and 1 for each of {shown}: "
        f"pandas.get_dummies(table, columns=[{name!r}], dtype=float), or polars' "
        f"to_dummies({name!r}); or delete the column"
    )
