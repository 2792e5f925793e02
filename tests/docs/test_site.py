"""The site's pages name functions, tests, configs and figures that exist, and leave none out."""

import importlib.util
import re
from functools import reduce
from pathlib import Path

import elsa
from tests.helpers import table

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RESULTS = (DOCS / "results.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip()[1:-1].split("|")]
    for line in RESULTS.splitlines()
    if line.startswith("|") and "`elsa." in line
]


def test_every_result_has_a_function_a_test_and_a_kind():
    assert len(ROWS) >= 40
    for result, function, test, _, kind in ROWS:
        name = re.fullmatch(r"`(elsa[\w.]+)`", function)[1]
        assert reduce(getattr, name.split(".")[1:], elsa) is not None, name
        path, _, test_name = test.strip("`").partition("::")
        source = (ROOT / path).read_text(encoding="utf-8")
        assert f"\ndef {test_name}(" in source, test
        assert re.match("exact|numerical|first order|proved|theory exact|risk exact", kind), result


def test_every_figure_of_a_result_can_be_made():
    for _, _, _, figure, _ in ROWS:
        for config in re.findall(r"`(configs/\w+\.py)`", figure):
            assert (ROOT / config).is_file(), config
        for image in re.findall(r"\((images/\w+\.png)\)", figure):
            assert (DOCS / image).is_file(), image


def test_the_gallery_has_every_figure_with_a_command_that_exists():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\(images/(\w+)\.png\)", text)
    assert sorted(shown) == sorted(path.stem for path in (DOCS / "images").glob("*.png"))
    *figures, others = text.split("\n## ")[1:]
    for name, section in zip(shown, figures, strict=True):
        made_by = re.search(r"(configs|scripts)/(\w+)\.py", section)
        assert made_by[2] in (name, f"{name}_figure") and (ROOT / made_by[0]).is_file()
        assert re.search(rf"{name}\.png\)\n\n\*[^*]+\.\*\n\n```bash full\n", section), name
    commands = re.findall(r"--config=configs/(\w+)\.py$", text, re.MULTILINE)
    configs = {path.stem for path in (ROOT / "configs").glob("*.py")} - {"base"}
    assert sorted(commands) == sorted(configs)
    in_table = re.findall(r"^\| `(\w+)` \|", others, re.MULTILINE)
    assert in_table == re.findall(r"--config=configs/(\w+)\.py$", others, re.MULTILINE)


def test_every_public_package_has_a_page_of_the_reference():
    modules = {n for n in elsa.__all__ if hasattr(getattr(elsa, n), "__path__")}
    pages = {path.stem for path in (DOCS / "api").glob("*.md")} - {"elsa", "index"}
    assert pages == modules
    own = (DOCS / "api" / "elsa.md").read_text(encoding="utf-8")
    assert {n for n in elsa.__all__ if n not in modules} == set(
        re.findall(r"^\.\. auto\w+:: elsa\.(\w+)$", own, re.MULTILINE)
    )


@table("page", sorted(DOCS.glob("howto/*.md")) + sorted(DOCS.glob("tutorials/*.md")))
def test_every_page_is_in_the_contents_of_its_folder(page):
    contents = (page.parent / "index.md").read_text(encoding="utf-8").splitlines()
    assert page.stem == "index" or page.stem in contents
    if page.parent.name == "tutorials" and page.stem != "index":
        text = page.read_text(encoding="utf-8")
        assert "{code-cell}" in text and "theory" in text
        assert text.rstrip().split("\n## ")[-1].startswith("What to read next")


def test_a_docstring_keeps_its_formulas_code_and_sections():
    docstrings = _extension("docstrings")
    text = [
        "|x| of `a_b`.",
        "",
        "    y = A x",
        "",
        "a, b: two",
        "  numbers.",
        "",
        "Args:",
        "  n: N*.",
    ]
    assert docstrings.as_markup(text) == [
        r"\|x\| of ``a_b``.",
        "",
        "::",
        "",
        "    y = A x",
        "",
        "- **a, b**: two",
        "  numbers.",
        "",
        "Args:",
        r"  n: N\*.",
    ]


def test_a_signature_is_as_it_was_written():
    signatures = _extension("signatures")
    assert signatures.written_signature(elsa.theory.error_curve)[0].startswith(
        "(eigenvalues: Real[ArrayLike, ' d'] | Numbers, "
    )
    assert signatures.written_signature(len) is None


def _extension(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
