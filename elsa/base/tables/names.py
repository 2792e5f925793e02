"""The names of a table's columns."""

import csv
import os
import re
from collections.abc import Sequence

from elsa.base import values as checks
from elsa.base.tables.numbers import Line
from elsa.base.values import nearest


def column_names(text: str) -> list[str]:
    """The names in a config's text: separated by commas, quoted where they hold one."""
    names = next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in names]


def refuse(path: str | os.PathLike[str], header: list[str], drop: Sequence[str]) -> None:
    """Refuses a header whose columns cannot be told apart."""
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


def missing(path: str | os.PathLike[str], header: list[str], target: str, why: str) -> KeyError:
    """The error of a header without the target; `why`, or else the nearest names or longer ones."""
    longer = [name for name in header if target.casefold() in name.casefold()]
    hint = why or nearest(target, header)
    if not hint and longer and len(header) > 1 and len(target) > 2:
        hint = f"; did you mean {' or '.join(map(repr, longer[:3]))}?"
    if not hint and len(header) == 1:
        hint = (
            "; columns are separated by a comma, a semicolon, a tab or |, or by what separator "
            "(data.separator in a config) says"
        )
    elif not hint and all(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", name) for name in header):
        hint = "; the first line must name the columns"
    return KeyError(
        f"read_csv: target must be a column of {path}: {shown(header)}, got {target!r}{hint}"
    )


def refuse_drop(drop: Sequence[str], target: str) -> None:
    """Refuses anything but names of columns, and the target among them."""
    checks.instance("read_csv", list | tuple, "a tuple of columns' names", drop=drop)
    for name in drop:
        checks.instance("read_csv", str, "a tuple of columns' names", drop=name)
        if name == target:
            raise ValueError(f"read_csv: drop must leave the target, got {target!r} in it")


def without(
    path: str | os.PathLike[str], header: list[str], lines: list[Line], drop: Sequence[str]
) -> tuple[list[str], list[Line]]:
    """The columns that are kept."""
    for name in drop:
        if name not in header:
            raise KeyError(
                f"read_csv: drop must name columns of {path}: {shown(header)}, got {name!r}"
                f"{nearest(name, header)}"
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


def shown(header: Sequence[str]) -> str:
    """The names, the first of them where there are many."""
    if len(header) <= 20:
        return str(list(header))
    return f"{str(list(header[:20]))[:-1]}, .. {len(header) - 20} more]"
