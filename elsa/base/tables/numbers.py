"""Entries of a text file as numbers, and what to do about those that are none."""

import csv
import io
import math
import re
import shlex
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

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
    where: str,
    header: Sequence[str],
    lines: Sequence[Line],
    *,
    target: str,
    separator: str,
    decimal: str,
    dropped: Sequence[str] = (),
) -> Float[np.ndarray, "n d"]:
    """The entries as numbers.

    Args:
      where: what errors start with.
      header: names of the d columns.
      lines: the n rows, of d entries.
      target: the name among them that is no covariate's.
      separator: of the file.
      decimal: "." or ","; "" finds out which.
      dropped: columns left out already; errors name them with those to be left out.

    Raises:
      ValueError: for an entry that is not a finite number, naming its line and column, and every
        column with missing entries or text where there are several.
    """
    mark = decimal or _decimal(lines, separator)
    shape, is_sure = _shape(mark), not decimal and mark == ","  # it is found where it is sure
    values = np.empty((len(lines), len(header)))
    for index, (line, row) in enumerate(lines):
        for place, entry in enumerate(row):
            value = _number(entry, mark, shape)
            if value is None:
                entries, is_target = [own[place] for _, own in lines], header[place] == target
                column = Column(header[place], entries, is_target, dropped)
                other = None if is_sure else _fraction(header, lines, mark)
                hint = _hint(entry, column, mark, other, is_sure=is_sure)
                cut = f"{entry[:_SHOWN]!r}.." if len(entry) > _SHOWN else repr(entry)
                raise ValueError(
                    f"{where}, line {line}, column {header[place]!r}: expected a finite number, "
                    f"got {cut}; {hint}{_of_all(header, lines, target, shape, dropped)}"
                )
            values[index, place] = value
    return values


class Column(NamedTuple):
    """A column of the file, as its texts."""

    name: str
    entries: list[str]
    is_target: bool
    dropped: Sequence[str]  # other columns that are left out


def _of_all(
    header: Sequence[str],
    lines: Sequence[Line],
    target: str,
    shape: re.Pattern[str],
    dropped: Sequence[str],
) -> str:
    """All columns with missing entries or text, where there are several, and how to do without."""
    said, names, texts, gaps = [], [], [], 0
    for place, name in enumerate(header):
        entries = [row[place].strip() for _, row in lines]
        lost = sum(entry.lower() in _MISSING for entry in entries)
        wrong = [entry for entry in entries if _is_text(entry, shape)]
        parts, gaps = [f"{lost} missing"] if lost else [], gaps + lost
        if wrong:
            parts.append(f"{len(wrong)} not a number, as {wrong[0][:_SHOWN]!r}")
            texts.append(name)
        if parts:
            said.append(f"{name!r} ({' and '.join(parts)}, of {len(entries)})")
            names.append(name)
    if len(said) < 2:
        return ""
    names, texts = ([name for name in own if name != target] for own in (names, texts))
    mends = ["fill missing entries or drop their rows"] if gaps else []
    mends += [f"pandas.get_dummies(table, columns={texts}, dtype=float) for text"] if texts else []
    ways = [", and ".join(mends)] if mends else ["write numbers"]
    if names and len(names) < len(header) - 1:  # else no covariate is left
        out = [*dropped, *names]
        ways.append(
            f"leave columns out, by drop={tuple(out)} or {_drop_key(out)} on a command line"
        )
    return f"\n{len(said)} of {len(header)} columns are so: {', '.join(said)}; {'; or '.join(ways)}"


def _is_text(entry: str, shape: re.Pattern[str]) -> bool:
    """Whether an entry is no number in any spelling, and not missing."""
    if entry.lower() in _MISSING or entry.lower().strip("+-") in ("inf", "infinity"):
        return False
    spelt = re.fullmatch(rf"{_THOUSANDS}|[+-]?[\d_.,]+([eEdD][+-]?\d+)?", entry, re.ASCII)
    return spelt is None and shape.fullmatch(entry) is None


def _drop_key(columns: Sequence[str]) -> str:
    """The word of a command line that leaves columns out, as a shell takes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(columns)
    return shlex.quote(f"--config.data.drop={text.getvalue()}")


def _fraction(header: Sequence[str], lines: Sequence[Line], mark: str) -> str | None:
    """Where a fraction stands that is written with the mark; None where none is."""
    shape = _shape(mark)
    for line, row in lines:
        for name, entry in zip(header, row, strict=True):
            if mark in entry and shape.fullmatch(entry.strip()):
                return f"line {line}, column {name!r}: {entry.strip()!r}"
    return None


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


def _hint(entry: str, column: Column, mark: str, other: str | None, *, is_sure: bool) -> str:
    """What to do about an entry that is no number.

    Args:
      entry: and the column that it stands in.
      mark: of decimals, and whether it is sure.
      other: where a fraction is written with it: another mark would refuse that one.
    """
    text, shape = entry.strip(), _shape(mark)
    low, kinds = text.lower(), list(dict.fromkeys(own.strip() for own in column.entries))
    count = len(column.entries)
    if low in _MISSING:
        lost = sum(own.strip().lower() in _MISSING for own in column.entries)
        return f"fill or drop missing entries first, {lost} of {count} in this column"
    if low.strip("+-") in ("inf", "infinity"):
        return "fill or drop such entries first"
    if shape.fullmatch(text):
        return "float64 holds sizes from 4.9e-324 to 1.8e308; scale the column"
    if re.fullmatch(r"[+-]?[\d_]+([.,][\d_]*)?([eE][+-]?\d+)?", text, re.ASCII):
        if "_" in text:
            return "write digits without _"
        turned = "," if mark == "." else "."
        reads = f"decimal={turned!r} (data.decimal in a config) reads it as a fraction"
        if other:
            reads = f"write all fractions of the table with one mark; {mark!r} stands in {other}"
        if re.fullmatch(_THOUSANDS, text):
            return "write thousands without a separator" + ("" if is_sure else f"; {reads}")
        return f"write all fractions with {mark!r}" if is_sure else reads
    if re.fullmatch(r"[+-]?[\d.,]+[dD][+-]?\d+", text, re.ASCII):
        return "write powers of ten with e"
    if re.fullmatch(_DATE, text):
        return "make dates and times numbers first, such as days since the first"
    if re.fullmatch(_THOUSANDS, text):
        return "write thousands without a separator"
    if any({kind.lower() for kind in kinds} <= pair for pair in _YES_NO):
        return "write 1 and 0 for yes and no"
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    usual = unicodedata.normalize("NFKC", seen).replace(_MINUS, "-")
    if shape.fullmatch(usual):
        return f"write it with ASCII digits and signs, {usual}"
    if re.fullmatch(r"[^\w.,+-]?\s?[+-]?\d[\d.,]*\s?[^\d\s]{0,5}", text):
        return "write the number alone, without its unit"
    wrong = sum(shape.fullmatch(own.strip()) is None for own in column.entries)
    if 2 * wrong < count:
        return f"mend or drop such entries, {wrong} of {count} in this column"
    return _of_text(column, kinds)


def _of_text(column: Column, kinds: Sequence[str]) -> str:
    """What to do about a column of text."""
    shown = ", ".join(repr(kind[:_SHOWN]) for kind in kinds[:5]) + ", .." * (len(kinds) > 5)
    if column.is_target:
        return (
            f"a target is a number in every row, and this column holds {shown}: write a number for "
            "each of them, or name another target (data.target in a config)"
        )
    out = (*column.dropped, column.name)
    leave_out = (
        f"leave the column out, by drop={out} (data.drop in a config, {_drop_key(out)} on its "
        "command line)"
    )
    if len(kinds) == len(column.entries) > 5:
        return f"its text is another one in every row; {leave_out}"
    return (
        f"encode categories as numbers, a column of 0 and 1 for each of {shown}: "
        f"pandas.get_dummies(table, columns=[{column.name!r}], dtype=float), or polars' "
        f"to_dummies({column.name!r}); or {leave_out}"
    )
