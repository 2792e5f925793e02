"""The pages about the compiler and about algorithms say what the compiler does."""

import contextlib
import io
import linecache
from pathlib import Path

import pytest

from scripts import compiler_figure
from scripts.readme_commands import fences

DOCS = Path(__file__).parents[2] / "docs"


def run_page(name):
    """A page's Python, one fence after the other: its names, and what each fence printed."""
    names: dict = {}
    printed, shown = [], []
    for fence in fences((DOCS / name).read_text(encoding="utf-8")):
        if fence.language == "text":
            shown.append(fence.text)
        if fence.language != "python":
            continue
        lines = fence.text.splitlines(keepends=True)
        linecache.cache[name] = (len(fence.text), None, lines, name)  # for the lines in errors
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(fence.text, name, "exec"), names)
        printed.append(out.getvalue())
    del linecache.cache[name]
    return names, [text for text in printed if text], shown


@pytest.fixture(scope="module")
def page():
    return run_page("compiler.md")


def test_the_compilers_page_prints_what_it_shows(page):
    _, printed, shown = page
    assert len(printed) == 4 and set(printed) <= set(shown)


def test_the_algorithms_page_prints_what_it_shows_and_its_test_passes():
    _, printed, shown = run_page("algorithms.md")
    assert len(printed) == 2 and printed == shown


def test_the_figure_is_of_the_pages_example(page):
    names, *_ = page
    assert str(compiler_figure.example()) == str(names["stack"])


def test_the_seven_heads_have_the_weights_of_the_table(page):
    names, *_ = page
    nonzero = [
        sorted(name for name, array in weights._asdict().items() if array[head].any())
        for weights in names["stack"].weights
        for head in range(len(weights.wq))
    ]
    assert nonzero == [
        ["bk", "wq", "wv"],
        ["bk", "bv", "wq"],
        ["bk", "bv", "wq"],
        ["bq", "wk", "wv"],
        ["bk", "wq", "wv"],
        ["wk", "wq", "wv"],
        ["bk", "bv", "wq"],
    ]


def test_the_script_writes_the_figure(tmp_path, capsys):
    assert compiler_figure.main([f"--output={tmp_path / 'images' / 'a.png'}"]) == 0
    assert (tmp_path / "images" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (DOCS / "images" / "compiler.png").exists()
