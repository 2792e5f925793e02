"""A link to a heading ends there on a forge, whose rule the site follows (docs/conf.py)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.DOTALL | re.MULTILINE)
_LEVELS = 4  # of docs/conf.py: deeper headings have no anchor on the site


def slug(heading: str) -> str:
    """What a forge makes of a heading: its text in lower case, letters, digits, _ and -."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Those of a page's headings; of the same ones the later have a number."""
    found: set[str] = set()
    counts: dict[str, int] = {}
    for heading in re.findall(rf"^#{{1,{_LEVELS}}} +(.*?)(?: +#+)? *$", text, re.MULTILINE):
        name = slug(heading)
        counts[name] = counts.get(name, -1) + 1
        found.add(f"{name}-{counts[name]}" if counts[name] else name)
    return found


def read(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def broken(page: Path) -> list[str]:
    """Links of a page to headings that are none."""
    lost = []
    for path, anchor in re.findall(r"\]\(([^)\s:]*)#([^)\s]+)\)", read(page)):
        target = (page.parent / path).resolve() if path else page
        if target.suffix == ".md" and anchor not in anchors(read(target)):
            lost.append(f"{path}#{anchor}")
    return lost


@pytest.mark.parametrize(
    "heading, expected",
    [
        ("A prior mean: `gd_beta_*`", "a-prior-mean-gd_beta_"),
        ("What X'X is, and why", "what-xx-is-and-why"),
        ("Install, in two commands", "install-in-two-commands"),
        ("One - two", "one---two"),
        ("[A page](there.md) and more", "a-page-and-more"),
    ],
)
def test_the_rule_of_a_forge(heading, expected):
    assert slug(heading) == expected


def test_headings_of_one_name_are_told_apart_and_code_has_none(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n## Two\n```bash\n# three\n```\n## Two\n[a](#two-1) [b](#three)\n")
    assert anchors(read(page)) == {"one", "two", "two-1"}
    assert broken(page) == ["#three"]


def test_every_link_to_a_heading_ends_there():
    assert {str(page.relative_to(ROOT)): lost for page in PAGES if (lost := broken(page))} == {}
    assert sum("](" in read(page) and ".md#" in read(page) for page in PAGES) >= 10
