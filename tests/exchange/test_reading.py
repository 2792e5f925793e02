"""Files that cannot be loaded are refused, and it is said what is wrong with them."""

import importlib
import json
import sys

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors
from safetensors import safe_open

import elsa
from elsa.exchange.format import CHECKSUM, KEY, checksum
from elsa.nn import LSA, Stack
from tests.exchange.cases import RIDGE, about, compiled, drawn, layer
from tests.helpers import table


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "stack.safetensors"
    elsa.export(compiled("tied"), path)
    return path.read_bytes()


def changed(data, folder, metadata=None, tensors=None):
    """The path of a copy whose metadata and tensors have gone through a function."""
    path = folder / "changed.safetensors"
    path.write_bytes(data)
    with safe_open(path, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    entry = about(path)
    entry = metadata(entry) if metadata else entry
    arrays = tensors(arrays) if tensors else arrays
    # of an array with gaps safetensors saves other numbers
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    if isinstance(entry, dict):  # as a writer would that means what it says
        entry = {**entry, CHECKSUM: checksum(entry, arrays)}
    path.write_bytes(safetensors.save(arrays, {KEY: json.dumps(entry)}))
    return path


@table("kept", [0, 5, 100, -1])
def test_a_file_cut_short_is_refused(kept, exported, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(exported[:kept])
    with pytest.raises(ValueError, match=r"load: .*/a is no safetensors file, or is damaged"):
        elsa.load(path)


def test_files_from_elsewhere_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(ValueError, match="no safetensors file"):
        elsa.load(path)
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(safetensors.save({"w": np.zeros(3)}, metadata))
        with pytest.raises(ValueError, match=r"not written by elsa.export.*no entry 'elsa'"):
            elsa.load(path)
    path.write_bytes(safetensors.save({"w": np.zeros(3)}, {KEY: "{"}))
    with pytest.raises(ValueError, match="the metadata 'elsa' is no JSON"):
        elsa.load(path)


@table("version", [3, 0, None, "1", True, 2.0])
def test_another_version_is_refused(version, exported, tmp_path):
    path = changed(exported, tmp_path, lambda entry: {**entry, "version": version})
    message = f"format version {version!r}, but this elsa reads versions 1 to 2"
    with pytest.raises(ValueError, match=message):
        elsa.load(path)


def test_metadata_that_is_no_object_is_refused(exported, tmp_path):
    with pytest.raises(ValueError, match="format version None"):
        elsa.load(changed(exported, tmp_path, list))


KEYS = ("name", "dtype", "skip", "tied", "depth", "order")
KEYS += ("layout", "readout", "inputs", "outputs", "holds")


@table("key", KEYS)
def test_every_entry_of_the_metadata_is_needed_and_has_its_kind(key, exported, tmp_path):
    path = changed(exported, tmp_path, lambda e: {k: v for k, v in e.items() if k != key})
    with pytest.raises(ValueError, match=rf"load: .*the metadata lacks '{key}'"):
        elsa.load(path)
    path = changed(exported, tmp_path, lambda entry: {**entry, key: 1.5})
    with pytest.raises(ValueError, match=rf"load: .*the metadata's '{key}' must be of type"):
        elsa.load(path)


def with_order(change):
    def changed_order(entry):
        order = [dict(part) for part in entry["order"]]
        change(order)
        return {**entry, "order": order}

    return changed_order


def with_layout(key, **entries):
    return lambda entry: {**entry, key: {**entry[key], **entries}}


SMALL = {"X": [0, 0, 5, 3], "y": [0, 3, 5, 1], "w": [0, 4, 3, 1]}
METADATA = {
    "skip": (lambda e: {**e, "skip": "none"}, "skip must be one of"),
    "dtype": (lambda e: {**e, "dtype": "int32"}, "must be a floating-point type, got int32"),
    "other dtype": (lambda e: {**e, "dtype": "float32"}, "must be of dtype float32, got float64"),
    "no dtype": (
        lambda e: {**e, "dtype": "real"},
        "dtype must be a floating-point type, got 'real'",
    ),
    "tied": (lambda e: {**e, "tied": False}, r"step.0: wq must have 4 axes"),
    "depth": (lambda e: {**e, "depth": 7}, "'order' must run the parts"),
    "depth is a bool": (lambda e: {**e, "depth": True}, "'depth' must be of type int"),
    "endless": (
        lambda e: {**with_order(lambda o: o[1].update(times=10**30))(e), "depth": 10**30},
        "'depth' must be at most 2147483647",
    ),
    "far": (with_layout("layout", shape=[5, 10**30]), "must be integers of at most 2147483647"),
    "negative": (
        lambda e: {**with_order(lambda o: o[1].update(times=-1))(e), "depth": -1},
        "depth must be at least 0",
    ),
    "parts": (with_order(lambda o: o.pop()), "'order' must run the parts"),
    "times": (with_order(lambda o: o[0].update(times=2)), "'order' must run the parts"),
    "no times": (with_order(lambda o: o[1].pop("times")), "lacks 'times'"),
    "twice": (with_order(lambda o: o[2].update(layers=["step.0"])), "names a layer twice"),
    "unknown": (with_order(lambda o: o[2].update(layers=["e"])), "tensors are missing: .'e.wq"),
    "forgotten": (with_order(lambda o: o[0].update(layers=[])), "no layer: .'prologue.0.bk"),
    "no step": (
        with_order(lambda o: (o[0]["layers"].append("step.0"), o[1].update(layers=[]))),
        "body must hold at least one layer",
    ),
    "box": (with_layout("layout", blocks={"X": [0, 0, 5]}), "'layout' is no layout"),
    "overlap": (with_layout("layout", blocks=SMALL | {"w": [0, 0, 3, 1]}), "overlap"),
    "shape": (with_layout("layout", shape=[50, 5]), "does not fit into the readout's"),
    "no shape": (with_layout("readout", shape=3), "'shape' must be of type list"),
    "transposed": (with_layout("readout", transposed=["a"]), "transposed names 'a'"),
    "larger": (
        with_layout("readout", shape=[9, 9]),
        r"shape \(5, 6\), but others for \(9, 9\)",
    ),
    "inputs": (lambda e: {**e, "inputs": {"X": [5, 3]}}, "and the layout's blocks .* differ"),
    "input shape": (with_layout("inputs", X=[3, 5]), r"block 'X' the shape \(3, 5\), the layout"),
    "outputs": (lambda e: {**e, "outputs": {"v": [3, 1]}}, "unknown block 'v'"),
    "output shape": (lambda e: {**e, "outputs": {"w": [3, 2]}}, "block 'w' the shape"),
}


@table("name", METADATA)
def test_metadata_that_contradicts_itself_or_the_weights_is_refused(name, exported, tmp_path):
    change, message = METADATA[name]
    path = changed(exported, tmp_path, change)
    with pytest.raises(ValueError, match=rf"load: .*changed.safetensors.*{message}"):
        elsa.load(path)


def with_tensor(name, change):
    return lambda arrays: {**arrays, name: change(arrays[name])}


def with_nan(array):
    array = array.copy()
    array.flat[1] = np.nan
    return array


TENSORS = {
    "missing": (
        lambda a: {k: v for k, v in a.items() if k != "step.0.wk"},
        r"tensors are missing: \['step.0.wk'\]",
    ),
    "a bias missing": (
        lambda a: {k: v for k, v in a.items() if k != "step.0.bv"},
        r"tensors are missing: \['step.0.bv'\]",
    ),
    "spare": (lambda a: {**a, "x": np.zeros(3)}, r"belong to no layer: \['x'\]"),
    "nan": (with_tensor("step.0.wv", with_nan), "step.0.wv must be finite, got nan"),
    "dtype": (with_tensor("step.0.wv", np.float32), "step.0.wv must be of dtype float64"),
    "shape": (with_tensor("step.0.wk", lambda a: a[:, 1:]), "step.0: wk must have shape"),
    "axes": (with_tensor("step.0.wq", lambda a: a[0]), "step.0: wq must have 3 axes"),
    "rows": (
        lambda a: {k: v[:, 1:] if k[:6] == "step.0" and k[7] == "b" else v for k, v in a.items()},
        r"step.0: weights for prompts of shape \(4, 6\), but others for \(5, 6\)",
    ),
}


@table("name", TENSORS)
def test_tensors_that_do_not_fit_are_refused(name, exported, tmp_path):
    change, message = TENSORS[name]
    path = changed(exported, tmp_path, tensors=change)
    with pytest.raises(ValueError, match=rf"load: .*changed.safetensors.*{message}"):
        elsa.load(path)


def test_untied_weights_need_one_entry_for_each_time(tmp_path):
    elsa.export(compiled("untied"), tmp_path / "a")
    shorter = with_order(lambda order: order[1].update(times=3))
    path = changed(
        (tmp_path / "a").read_bytes(), tmp_path, lambda entry: {**shorter(entry), "depth": 3}
    )
    with pytest.raises(ValueError, match="leading axis of depth=3"):
        elsa.load(path)


def test_layers_of_different_prompts_are_refused(tmp_path):
    stack = Stack([layer(LSA, 1)], 1, prologue=[layer(LSA, 1, channels=5)])
    elsa.export(stack, tmp_path / "a")
    with pytest.raises(ValueError, match=r"weights for prompts of shape \(0, [35]\), but"):
        elsa.load(tmp_path / "a")


def test_float64_weights_need_x64(exported, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(exported)
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        elsa.load(path)


def test_a_loaded_stack_refuses_what_does_not_fit(exported, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(exported)
    loaded, blocks = elsa.load(path), drawn(RIDGE)
    with pytest.raises(KeyError, match="unknown block 'v'"):
        loaded(**blocks, v=0.0)
    with pytest.raises(ValueError, match="missing block"):
        loaded(X=blocks["X"])
    with pytest.raises(ValueError, match=r"block 'y' must have shape \(5, 1\)"):
        loaded(**{**blocks, "y": np.zeros(4)})
    with pytest.raises(ValueError, match="w must be finite"):
        loaded(**{**blocks, "w": np.full(3, np.inf)})


def test_without_torch_the_module_says_how_to_have_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("elsa.exchange.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"elsa.exchange.torch needs .*: pip install torch"
    ):
        importlib.import_module("elsa.exchange.torch")
