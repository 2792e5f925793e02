"""The page about softmax regression prints what it shows, and shows figures that exist."""

import re
from pathlib import Path

from tests.docs.test_compiler import run_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_prints_what_it_shows():
    _, printed, shown = run_page("softmax_regression.md")
    assert len(printed) == 5 and printed == shown


def test_the_figures_of_the_page_are_there():
    text = (DOCS / "softmax_regression.md").read_text(encoding="utf-8")
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(images) == 3 and all((DOCS / image).is_file() for image in images)
