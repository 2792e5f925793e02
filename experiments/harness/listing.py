"""The table of `--list`: every config with its claim and its time, read from its docstring."""

import ast
import os
import re
from pathlib import Path

from rich.table import Table

from experiments.harness import typed

_SHARED = ("__init__", "base")
_MEASURED = (
    "times: on an idle laptop-class machine with 2 cores; compiling is in them\n"
    "NAME:quick: a smoke run, for a first look and for tests; its figures are not the result"
)


def table(configs: Path) -> Table:
    """One line for each config file of the folder, in alphabetical order.

    The command `elsa` takes them by name, in any folder; `experiments.run` by path.
    """
    listing = Table(
        *("config", "claim", "time"),
        title="experiments",
        caption=_MEASURED,
        title_justify="left",
        caption_justify="left",
        show_lines=True,
    )
    listing.columns[0].no_wrap = True
    for column in listing.columns:
        column.overflow = "fold"
    for path in files(configs):
        name, (claim, time) = os.path.relpath(path), claim_and_time(path.read_text("utf-8"))
        if typed.is_command():
            name, time = path.stem, time.replace(f"configs/{path.name}", path.stem)
        listing.add_row(name, claim, time)
    return listing


def files(configs: Path) -> list[Path]:
    """The folder's configs, without what they share."""
    return sorted(path for path in configs.glob("*.py") if path.stem not in _SHARED)


def path_of(given: str, configs: Path) -> Path:
    """The file of a path, or of the name of one of the folder's configs."""
    return {file.stem: file for file in files(configs)}.get(given, Path(given))


def holds(given: str, configs: Path) -> bool:
    """Whether a path or a name is that of one of the folder's configs."""
    return path_of(given, configs).resolve().parent == configs.resolve()


def claim_and_time(source: str) -> tuple[str, str]:
    """The first paragraph of a config's docstring, and its `Time:` entry; both may be empty."""
    try:
        text = ast.get_docstring(ast.parse(source)) or ""
    except SyntaxError as error:
        return f"(line {error.lineno}: {error.msg})", ""
    claim = text.partition("\n\n")[0]
    time = re.search(r"^Time:(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)
    return " ".join(claim.split()), " ".join(time[1].split()) if time else ""
