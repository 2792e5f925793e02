"""The page about exported files: its NumPy code against JAX, its PyTorch code against the NumPy."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import elsa
from elsa import BlockLayout, constructions
from scripts.readme_commands import fences
from tests.helpers import ridge_problem

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
FENCES = [f for f in fences(PAGE.read_text(encoding="utf-8")) if f.language == "python"]
CODE = [f.text for f in FENCES if f.mode != "manual"]  # test_torch.py runs the other
(NUMPY,) = [text for text in CODE if "import numpy" in text]
(TORCH,) = [text for text in CODE if "import torch" in text]


def descent(X, y, w):
    return {"w": w - 0.1 * (X.T @ (X @ w - y))}


def slowing_descent(X, y, w, t):
    return {"w": w - 0.1 / (1 + t) * (X.T @ (X @ w - y))}


def inverse(A, Z, b, x):  # transposed blocks, an epilogue
    return {"Z": 2 * Z - Z @ A.T @ Z, "x": Z @ b}


ELSEWHERE = BlockLayout(
    {"X": (1, 1, 3, 5), "y": (5, 2, 5, 1), "w": (0, 8, 3, 1)}, (12, 10), transposed=("X",)
)
FLAT = {"X": (5, 3), "y": (5,), "w": (3,)}
SQUARE = {"A": (3, 3), "Z": (3, 3), "b": (3, 1), "x": (3, 1)}
STACKS = {
    "tied": lambda: elsa.compile(descent, FLAT, 4),
    "untied": lambda: elsa.compile(slowing_descent, FLAT, 4, tied=False),
    "skip head": lambda: elsa.compile(descent, FLAT, 4, skip="head"),
    "load layer": lambda: elsa.compile(descent, FLAT, 4, layout=ELSEWHERE),
    "epilogue": lambda: elsa.compile(inverse, SQUARE, 3),
    "depth 0": lambda: elsa.compile(descent, FLAT, 0),
    "float32": lambda: elsa.compile(descent, FLAT, 4, dtype="float32"),
}


@pytest.fixture(scope="module")
def page():
    """The functions of the NumPy code."""
    names: dict = {}
    exec(compile(NUMPY, PAGE.name, "exec"), names)
    return SimpleNamespace(load=names["load"], run=names["run"])


@pytest.mark.parametrize("name", STACKS)
def test_the_numpy_code_runs_a_compiled_stack(name, page, tmp_path):
    stack = STACKS[name]()
    elsa.export(stack, tmp_path / "stack.safetensors")
    rng = np.random.default_rng(0)
    blocks = {
        block: (rng.normal(size=shape) / sum(shape)).astype(stack.dtype)
        for block, shape in stack.inputs.items()
    }
    out = page.run(*page.load(tmp_path / "stack.safetensors"), **blocks)
    expected = stack(**blocks)
    assert list(out) == list(expected)
    # Both round some ten products of entries below 1; the page asks for 1e-12 in float64.
    tolerance = {"rtol": 1e-12} if stack.dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-6}
    for block in out:
        assert out[block].shape == expected[block].shape and out[block].dtype == stack.dtype
        np.testing.assert_allclose(out[block], expected[block], **tolerance)


def test_the_numpy_code_runs_a_construction(page, tmp_path):
    blocks, step_size = ridge_problem(5, 3, 2)
    stack = constructions.ridge_elsa(5, 3, 4, step_size, num_queries=2, skip="head")
    elsa.export(stack, tmp_path / "a")
    out, expected = page.run(*page.load(tmp_path / "a"), **blocks), stack(**blocks)
    assert list(out) == list(expected)
    for block in out:
        np.testing.assert_allclose(out[block], expected[block], rtol=1e-12)


def test_the_numpy_code_runs_a_designed_prompt_packed_as_the_page_says(page, tmp_path):
    blocks, step_size = ridge_problem(5, 3)
    stack = constructions.ridge_lsa(5, 3, 4, step_size)
    elsa.export(stack, tmp_path / "a")
    X, w, root = blocks["X"], blocks["w"], blocks["lam"] ** 0.5
    packed = {"X": X, "ridge": root * np.eye(3), "y": blocks["y"], "fit": X @ w, "w": root * w}
    out = page.run(*page.load(tmp_path / "a"), **packed)
    np.testing.assert_allclose(out["w"] / root, stack(**blocks)["w"], rtol=1e-12)
    shown = [f.text for f in fences(PAGE.read_text(encoding="utf-8")) if f.language == "text"]
    assert str(elsa.load(tmp_path / "a")) + "\n" in shown


def in_numpy(text, words):
    for ours, theirs in words.items():
        assert text.count(ours) == 1
        text = text.replace(ours, theirs)
    return text


def test_the_pytorch_code_is_the_numpy_code_in_other_words():
    words = {
        "import torch": "import numpy as np",
        'framework="pt"': 'framework="np"',
        "torch.zeros": "np.zeros",
        "torch.asarray": "np.asarray",
    }
    assert in_numpy(TORCH, words) == NUMPY


def test_the_example_runs_the_file_of_the_page_s_top(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    top, example = [text for text in CODE if text not in (NUMPY, TORCH)]
    words = {"torch.randn(16, 3)": "np.random.default_rng(0).normal(size=(16, 3))"}
    names: dict = {}
    for text in (top, NUMPY, in_numpy(example, words | {"torch.zeros": "np.zeros"})):
        exec(compile(text, PAGE.name, "exec"), names)
    X = names["X"]
    for stack in (names["stack"], names["again"]):
        expected = stack(X=X, y=X.sum(1), w=np.zeros(3))["w"]
        np.testing.assert_allclose(names["w"][:, 0], expected, rtol=1e-12)
