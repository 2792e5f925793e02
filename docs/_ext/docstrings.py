"""Docstrings of this project, which are plain text, as reStructuredText.

A formula is an indented paragraph, code stands between single backticks, and bars and stars are
norms and products: nothing of it is markup until it is turned into some here.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")  # napoleon's
_CODE = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([\\*|_])")
_FIELD = re.compile(r"^(?P<names>\w+(, \w+)*): (?P<text>.*)$")


def escaped(line: str) -> str:
    """The line with `code` as literals, and no other character that means something."""
    parts = _CODE.split(line)
    parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part[1:-1]}``" for part in parts[1::2]]
    return "".join(parts)


def _fields(paragraph: Sequence[str]) -> Iterator[str]:
    """`name: what it is`, lines that go on indented, as a list."""
    for line in paragraph:
        field = _FIELD.match(line)
        yield (
            f"- **{escaped(field['names'])}**: {escaped(field['text'])}" if field else escaped(line)
        )


def as_markup(lines: Sequence[str]) -> list[str]:
    """A docstring as reStructuredText."""
    written: list[str] = []
    in_section = in_literal = False
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank:
            written += paragraph
            continue
        indented = all(line.startswith("  ") for line in paragraph)
        in_section = paragraph[0].strip() in SECTIONS or (in_section and indented)
        if in_section:
            written += map(escaped, paragraph)
        elif indented:
            written += paragraph if in_literal else ["::", "", *paragraph]
        elif all(line.startswith(" ") or _FIELD.match(line) for line in paragraph):
            written += _fields(paragraph)
        else:
            written += map(escaped, paragraph)
        in_literal = indented and not in_section
    return written


def convert(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's hook, before napoleon's."""
    lines[:] = as_markup(lines)


def is_left_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples without a word of their own: the class says what they are."""
    return True if str(obj.__doc__).startswith("Alias for field number") else None


def setup(app: Any) -> dict[str, bool]:
    """Registers the hooks."""
    app.connect("autodoc-process-docstring", convert, priority=400)
    app.connect("autodoc-skip-member", is_left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
