"""The page about diagnoses prints what it shows, and its figure can be drawn."""

import pytest

from scripts import diagnose_figure
from tests.docs.test_compiler import DOCS, run_page

KINDS = {
    "skip is no identity": "skip",
    "wrong rows": "block",
    "wrong sign": "sign",
    "wrong scale": "scale",
    "step too large": "step size",
    "lambda misplaced": "lambda",
}


@pytest.mark.slow
def test_the_page_prints_what_it_shows():
    _, printed, shown = run_page("diagnose.md")
    assert printed == shown


@pytest.mark.slow
def test_the_figure_shows_what_is_diagnosed(tmp_path):
    found = {name: one.kind for name, one in diagnose_figure.diagnoses().items()}
    assert found == KINDS
    assert diagnose_figure.main([f"--output={tmp_path / 'images' / 'a.png'}"]) == 0
    assert (DOCS / "images" / "diagnose.png").exists()
