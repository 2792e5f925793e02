"""The page on what biases buy prints what it shows, and its figures and names are there."""

import re
from pathlib import Path

import elsa.nn
from elsa import readback, theory
from tests.docs.test_compiler import run_page

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "biases.md").read_text(encoding="utf-8")


def test_the_page_prints_what_it_shows():
    _, printed, shown = run_page("biases.md")
    assert len(printed) == 1 and set(printed) <= set(shown)


def test_the_figures_and_the_names_of_the_page_are_there():
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    assert len(images) == 2 and all((DOCS / image).is_file() for image in images)
    named = re.findall(r"`(theory|nn|readback)\.(\w+)", TEXT)
    rooms = {"theory": theory, "nn": elsa.nn, "readback": readback}
    assert len(named) >= 5
    assert [name for name in named if not hasattr(rooms[name[0]], name[1])] == []
