"""Pages that need nothing but themselves: HTML with the script and the style written into it.

Every function takes texts as they are and escapes them; what it returns is HTML.

The charts are drawn by a script of our own (elsa/report/page), a few hundred lines: a page weighs
as much as its numbers, where a plotting library for browsers would add 3 to 5 MB to each.
"""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from elsa.report.charts import Chart

NUMBERS = "numbers-of-figures"  # where a page holds its charts, as JSON
_CLASS = ' class="{}"'
# A key with its parts, as problems.diabetes.lam or largest_distance, breaks between them alone.
_KEY, _PART = re.compile(r"[A-Za-z]\w*([._]\w+)+(, .+)?"), re.compile(r"(?<=\w[._])(?=[A-Za-z])")
_NUMBER = re.compile(
    r"[+\-\u2212]?\d[\d.,]*(e[+-]?\d+)?( \xb1 \d[\d.]*(e[+-]?\d+)?)?"
)  # a whole entry
# What browsers would break behind a hyphen: flags, and numbers with an exponent.
_UNBROKEN = re.compile(r"(?<![\w-])(--\w[\w.-]*|-?\d[\d.]*e[+-]?\d+)")
# Browsers are told that the page may load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def document(title: str, sections: Mapping[str, str], *, head: str, charts: Sequence[Chart]) -> str:
    """A whole page.

    Args:
      title: its name.
      sections: heading -> HTML, from the top down; the page starts with links to them.
      head: HTML above these links.
      charts: what `figure` refers to by number.
    """
    links = "".join(f'<li><a href="#{_anchor(name)}">{text(name)}</a></li>' for name in sections)
    body = "".join(
        f'<section aria-labelledby="{_anchor(name)}"><h2 id="{_anchor(name)}">{text(name)}</h2>'
        f"\n{inside}</section>\n"
        for name, inside in sections.items()
    )
    data = json.dumps(list(charts), ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    script = f"{_file('drawing.js')}\n{_file('charts.js')}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{_file('page.css')}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{text(title)}</h1>\n{head}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n<main>\n{body}</main>\n'
        f'<script type="application/json" id="{NUMBERS}">{data}</script>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def text(value: Any) -> str:
    """Any value as text of a page; half characters, of names that are no UTF-8, are replaced."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


class Markup(str):
    """HTML that stands in a table as it is."""

    __slots__ = ()


def link(words: str, address: str) -> str:
    """Words that lead to another page, by its address from this one."""
    return f'<a href="{text(address)}">{text(words)}</a>'


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str,
    differing: bool = False,
    named: int = 1,
) -> str:
    """A table.

    Args:
      columns: their heads.
      rows: the entries, as texts but for those that are `Markup`.
      caption: what it shows.
      differing: marks the rows whose entries, those that name them aside, are not all the same.
      named: how many entries name a row, from the left.
    """
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    lines = ""
    for row in rows:
        differs = differing and len(set(map(str, row[named:]))) > 1
        cells = "".join(map(_cell, row))
        lines += f"<tr{_CLASS.format('differs') if differs else ''}>{cells}</tr>\n"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{heads}</tr></thead>\n"
        f"<tbody>{lines}</tbody></table></div>\n"
    )


def figure(name: str, number: int) -> str:
    """The place of an interactive figure, which the script draws from the document's charts."""
    return (
        f'<figure data-chart="{number}"><figcaption><h3>{text(name)}</h3></figcaption>'
        "<noscript><p>This figure is drawn by the page's own script. Without scripts, see the "
        f"folder of the figures: {text(name)}.png.</p></noscript></figure>\n"
    )


def picture(name: str, png: bytes) -> str:
    """A figure that is shown as it was printed."""
    data = base64.b64encode(png).decode()
    return (
        f"<figure><figcaption><h3>{text(name)}</h3></figcaption>"
        f'<img alt="Figure {text(name)}; its numbers are in the tables below" '
        f'src="data:image/png;base64,{data}"></figure>\n'
    )


def paragraph(words: str, kind: str = "") -> str:
    """A paragraph, of a class of the style."""
    return f"<p{_CLASS.format(kind) if kind else ''}>{_unbroken(words)}</p>\n"


def command(words: str) -> str:
    """A command to be copied."""
    return f'<pre tabindex="0"><code>{text(words)}</code></pre>\n'


def folded(name: str, inside: str) -> str:
    """HTML that is shown when it is asked for."""
    return f"<details><summary>{text(name)}</summary>\n{inside}</details>\n"


def _cell(value: Any) -> str:
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    if _NUMBER.fullmatch(str(value)):
        return f"<td{_CLASS.format('number')}>{text(value)}</td>"
    if _KEY.fullmatch(str(value)):
        return f"<td>{_PART.sub('<wbr>', text(value))}</td>"
    return f"<td>{_unbroken(value)}</td>"


def _unbroken(value: Any) -> str:
    """Text whose flags and numbers stay in one line."""
    return _UNBROKEN.sub(r'<span class="whole">\1</span>', text(value))


def _anchor(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _file(name: str) -> str:
    return (resources.files("elsa.report") / "page" / name).read_text(encoding="utf-8")
