"""Rows as tables on the terminal, one for each case, as soon as it is complete."""

import math
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.harness import Row
from elsa.base.plain import plain

_PIPED_WIDTH = 130
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def console() -> Console:
    """Standard output; 130 columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def say(screen: Console, text: str) -> None:
    """Prints a line as it is, so that a path in it can be copied."""
    screen.print(Text(plain(text, screen.encoding)), soft_wrap=True)


def by_case(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows that follow one another and have the same case; each group once it is complete."""
    group: list[Row] = []
    for row in rows:
        if group and row.case != group[0].case:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def show(screen: Console, rows: list[Row]) -> None:
    """A table of the rows of one case."""
    table = Table(title=plain(rows[0].case, screen.encoding), title_justify="left", box=None)
    table.add_column("", overflow="fold")
    for header in ("value", "spread", "ratio", "95 % of it", "limit"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        cells = [_named(row), *cells_of(row)]
        table.add_row(*(plain(cell, screen.encoding) for cell in cells))
    screen.print(table)
    screen.print()


def cells_of(row: Row) -> tuple[str, str, str, str, str]:
    """Value, spread, ratio, its interval and limit as texts, empty where there is nothing."""
    value = "missing" if row.value is None else quantity(row.value, row.unit)
    spread = "" if row.spread is None else f"{100 * row.spread:.0f} %"
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    between = ""
    if row.ratio is not None and row.interval is not None:
        between = "{:.3g} .. {:.3g}".format(*row.interval)
    limit = ""
    if row.limit is not None:
        word = {True: "kept", False: "not kept", None: "in doubt"}[row.within_limit]
        sign = ">=" if row.higher_is_better else "<="
        limit = f"{sign} {row.limit:g} {word if row.score is not None else ''}".strip()
    return value, spread, ratio, between, limit


def quantity(value: float, unit: str) -> str:
    """A number with a prefix of its unit: 4.31 ms, 95.2 Gflop/s; exponents and shares without."""
    if unit not in ("s", "bytes") and not unit.endswith("/s"):
        return f"{value:.3g} {unit}".strip()
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    size, prefix = next(
        ((size, prefix) for size, prefix in _PREFIXES if abs(value) >= size * 0.9995), _PREFIXES[-1]
    )
    if unit == "s" and size > 1.0:
        size, prefix = 1.0, ""
    return f"{value / size:.3g} {prefix}{unit}"


def _named(row: Row) -> str:
    return f"{row.metric} ({row.note})" if row.note else row.metric
