"""The file of a stack: what it says, how it is written, and what cannot be exported."""

import errno
import os

import jax.numpy as jnp
import pytest
from flax import nnx
from safetensors import safe_open

import elsa
from elsa import constructions
from elsa.base import files
from elsa.exchange.format import KEY
from elsa.nn import LSA, BlockStack, Stack
from tests.exchange.cases import (
    ELSEWHERE,
    RIDGE,
    about,
    compiled,
    descent,
    layer,
    through_a_file,
)


def test_the_metadata_says_what_the_table_says(tmp_path):
    path = tmp_path / "stack.safetensors"
    elsa.export(compiled("load layer"), path)
    found = about(path)
    assert found["name"] == f"{descent.__module__}.descent"
    assert found["order"] == [
        {"part": "prologue", "layers": ["load", "prologue.0"], "times": 1},
        {"part": "step", "layers": ["step.0"], "times": 4},
        {"part": "epilogue", "layers": [], "times": 1},
    ]
    assert (found["version"], found["skip"], found["tied"]) == (2, "residual", True)
    assert found["layout"] == {
        "blocks": {name: list(box) for name, box in ELSEWHERE.blocks.items()},
        "shape": [12, 10],
        "transposed": ["X"],
    }
    assert found["inputs"] == {name: list(shape) for name, shape in RIDGE.items()}
    assert found["outputs"] == {"w": [3, 1]} and found["holds"] == {}
    with safe_open(path, framework="np") as file:
        assert set(file.metadata()) == {KEY}


def test_the_same_stack_gives_the_same_bytes_and_a_loaded_one_too(tmp_path):
    stack = compiled("load layer")
    paths = [tmp_path / name for name in "abc"]
    elsa.export(stack, paths[0])
    elsa.export(stack, str(paths[1]))
    elsa.export(elsa.load(paths[0]), paths[2])
    first, second, third = (path.read_bytes() for path in paths)
    assert first == second == third


def test_a_loaded_stack_says_what_it_takes_and_returns(tmp_path):
    stack = constructions.ridge_lsa(5, 3, 4, 0.1)
    loaded = through_a_file(stack, tmp_path)
    assert isinstance(loaded, BlockStack)
    assert str(loaded).splitlines() == [
        "ridge_lsa: 4 layers, 4 heads, prompt 8 x 5, float64",
        "  takes X (5, 3)",
        "  takes ridge (3, 3), holds sqrt(lam) I",
        "  takes y (5, 1)",
        "  takes fit (5, 1), holds X w",
        "  takes w (3, 1), holds sqrt(lam) w",
        "  returns w (3, 1), holds sqrt(lam) w",
    ]


def test_the_step_is_named_by_what_it_says_of_itself(tmp_path):
    class Step:
        def __call__(self, w):
            return {"w": 2 * w}

    loaded = through_a_file(elsa.compile(Step(), {"w": (2, 1)}, 1), tmp_path)
    assert loaded.name == f"{__name__}.Step"


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "stack.safetensors"
    elsa.export(compiled("tied"), path)
    before = path.read_bytes()

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(OSError, match=r"export: cannot write .*: No space left on device"):
        elsa.export(compiled("untied"), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path):
    with pytest.raises(OSError, match=r"export: path must name a file, .* is a folder"):
        elsa.export(compiled("tied"), tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        elsa.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="none"):
        elsa.load(tmp_path / "none")


def test_a_link_stays_and_the_file_it_points_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    link.symlink_to(target)
    for name in ("tied", "untied"):  # first no file is there
        elsa.export(compiled(name), link)
        assert link.is_symlink() and os.listdir(tmp_path / "there") == ["target"]
        assert about(target)["tied"] is (name == "tied")


def test_a_device_a_pipe_and_links_in_a_circle_are_left_as_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("pipe", "circle", "device"):
        before = os.lstat(tmp_path / name)
        with pytest.raises(OSError, match=rf"export: cannot write .*{name}: "):
            elsa.export(compiled("tied"), tmp_path / name)
        assert os.path.samestat(os.lstat(tmp_path / name), before)
    with pytest.raises(OSError, match=f"export: cannot write {os.devnull}: it is no regular file"):
        elsa.export(compiled("tied"), os.devnull)


# What cannot be exported.


def test_weights_that_are_not_finite_are_refused(tmp_path):
    stack = Stack([layer(LSA, 1)], 2)
    stack.body[0].wk = nnx.Param(jnp.full((1, 3, 2), jnp.nan))
    with pytest.raises(ValueError, match=r"export: step.0.wk must be finite, got nan at index"):
        elsa.export(stack, tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_other_models_and_layers_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"export: stack must be a compiled stack.*, got LSA"):
        elsa.export(layer(LSA, 1), tmp_path / "a")
    with pytest.raises(TypeError, match=r"layer step.0 is of type Linear; only LSA and ELSA"):
        elsa.export(Stack([nnx.Linear(3, 3, rngs=nnx.Rngs(0))], 2), tmp_path / "a")


def test_several_stacks_in_one_and_mixed_dtypes_are_refused(tmp_path):
    many = layer(LSA, 5, 1)
    with pytest.raises(ValueError, match=r"step.0.wq must have 3 axes, got shape \(5, 1, 3, 2\)"):
        elsa.export(Stack([many], 2), tmp_path / "a")
    mixed = [layer(LSA, 1, dtype=kind) for kind in ("float32", "float64")]
    with pytest.raises(ValueError, match=r"must share one dtype, got .*float32.*float64"):
        elsa.export(Stack(mixed, 2), tmp_path / "a")
    eight_bits = [layer(LSA, 1, dtype="float8_e4m3fn")]
    with pytest.raises(ValueError, match=r"weights must be one of .*float32.*, got float8_e4m3fn"):
        elsa.export(Stack(eight_bits, 2), tmp_path / "a")
