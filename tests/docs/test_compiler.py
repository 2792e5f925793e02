"""The page about the compiler says what the compiler does."""

import contextlib
import io
import linecache
from pathlib import Path

import pytest

from scripts import compiler_figure
from scripts.readme_commands import fences

PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"
FENCES = list(fences(PAGE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def ran():
    """The page's Python, one fence after the other: its names, and what each fence printed."""
    names: dict = {}
    printed = []
    for fence in (f for f in FENCES if f.language == "python"):
        lines = fence.text.splitlines(keepends=True)
        linecache.cache[PAGE.name] = (len(fence.text), None, lines, PAGE.name)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(fence.text, PAGE.name, "exec"), names)
        printed.append(out.getvalue())
    del linecache.cache[PAGE.name]
    return names, printed


def test_the_code_prints_what_the_page_shows(ran):
    _, printed = ran
    shown = [f.text for f in FENCES if f.language == "text"]
    for text in printed:
        assert not text or text in shown
    assert sum(map(bool, printed)) == 2


def test_the_figure_is_of_the_pages_example(ran):
    names, _ = ran
    assert str(compiler_figure.example()) == str(names["stack"])


def test_the_five_heads_have_the_weights_of_the_table(ran):
    names, _ = ran
    nonzero = [
        sorted(name for name, array in weights._asdict().items() if array[head].any())
        for weights in names["stack"].weights
        for head in range(len(weights.wq))
    ]
    assert nonzero == [
        ["bq", "wk", "wv"],
        ["bq", "wk", "wv"],
        ["bk", "wq", "wv"],
        ["bk", "wq", "wv"],
        ["bk", "bv", "wq"],
    ]


def test_the_script_writes_the_figure(tmp_path, capsys):
    assert compiler_figure.main([f"--output={tmp_path / 'images' / 'a.png'}"]) == 0
    assert (tmp_path / "images" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (PAGE.parent / "images" / "compiler.png").exists()
