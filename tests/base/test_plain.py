"""What stands in, on a terminal of few characters, for those it does not have."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import elsa
from elsa.base.plain import ERRORS, decoded, plain
from tests.helpers import table


@table(
    "text, encoding, shown",
    [
        ("X^T X + λI → w, 3 × 2, |−1| ≤ ∞", "ascii", "X^T X + lambdaI -> w, 3 x 2, |-1| <= inf"),
        ("Γ, β*, ρ, σ, ς, ά", "ascii", "Gamma, beta*, rho, sigma, sigma, alpha"),
        ("λ, √η, ± s.e. – …", "ascii", "lambda, sqrt eta, +- s.e. - ..."),
        ("±, ×, é and λ", "latin-1", "±, ×, é and lambda"),  # what is there stays
        ("“–” and λ", "cp1252", "“–” and lambda"),
        ("λ × 2", "utf-8", "λ × 2"),
        ("┏━┳┓ │ ║ ╴ ╇ █ ▓ •", "ascii", "+-++ | | + + # # *"),
        ("Größe, Ærø, façade, ﬁt, Łódź", "ascii", "Grosse, AEro, facade, fit, Lodz"),
        ("数据 🎉", "ascii", r"\u6570\u636e \U0001f389"),  # unlike ?, it says which
        ("runs/gr\udcc3\udcb6sse", "utf-8", "runs/grösse"),  # bytes of a path, in an ascii locale
        ("plain", "ascii", "plain"),
    ],
)
def test_text_keeps_its_meaning(text, encoding, shown):
    assert plain(text, encoding) == shown


def test_the_bytes_of_a_path_are_written_as_they_are():
    assert "runs/\udcff\udcc3".encode("utf-8", ERRORS) == b"runs/\xff\xc3"


def test_what_is_asked_of_other_errors_is_refused():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", ERRORS)


def test_words_and_paths_are_what_they_are_in_utf_8_whatever_the_locale(tmp_path):
    assert decoded("größe") == "größe" and decoded("a\udcff") == "a\udcff"
    program = (
        "import os, sys; from elsa.base import files, plain\n"
        "assert sys.getfilesystemencoding() == 'ascii'\n"
        "text = plain.decoded(sys.argv[1])\n"
        "assert text == 'gr\\xf6\\xdfe' and plain.decoded(text) == text\n"
        "assert os.path.exists(files.native(text)) and files.native('a') == 'a'\n"
    )
    (tmp_path / "größe").touch()
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **locale, "PYTHONPATH": os.getcwd()}
    words = [sys.executable, "-c", program, "größe"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)


def test_what_the_library_prints_in_programs_of_others_is_ascii():
    """Their standard output is their own: listings, refusals and reports hold no λ to replace."""
    root = Path(elsa.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if text.isascii() or path.name == "plain.py":
            continue
        tree = ast.parse(text)
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in alone:
                assert str(node.value).isascii(), f"{path}, line {node.lineno}: {node.value!r}"
