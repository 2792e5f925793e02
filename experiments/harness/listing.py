"""The table of `--list`: every config with its claim and its time, read from its docstring."""

import ast
import os
import re
from pathlib import Path

from rich.table import Table


def table(configs: Path) -> Table:
    """One line for each config file of the folder, in alphabetical order."""
    listing = Table(
        "config", "claim", "time", title="experiments", title_justify="left", show_lines=True
    )
    listing.columns[0].no_wrap = True
    for column in listing.columns:
        column.overflow = "fold"
    for path in sorted(configs.glob("*.py")):
        if path.stem != "__init__":
            listing.add_row(os.path.relpath(path), *claim_and_time(path.read_text("utf-8")))
    return listing


def claim_and_time(source: str) -> tuple[str, str]:
    """The first paragraph of a config's docstring, and its `Time:` entry; both may be empty."""
    try:
        text = ast.get_docstring(ast.parse(source)) or ""
    except SyntaxError as error:
        return f"(line {error.lineno}: {error.msg})", ""
    claim = text.partition("\n\n")[0]
    found = re.search(r"^Time:(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)
    return " ".join(claim.split()), " ".join(found[1].split()) if found else ""
