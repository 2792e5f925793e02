"""What exported stacks in PyTorch refuse, by name."""

import json

import numpy as np
import pytest
from safetensors import numpy as safetensors

import elsa
from elsa.exchange.format import CHECKSUM, KEY, checksum
from tests.exchange.cases import RIDGE, about, compiled, drawn
from tests.helpers import table

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make test-torch` does it")
from elsa.exchange import torch as elsa_torch  # noqa: E402


@pytest.fixture(scope="module")
def descent(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "stack.safetensors"
    elsa.export(compiled("tied"), path)
    return elsa_torch.load(path)


GOOD = drawn(RIDGE)


@table(
    "blocks, error, message",
    [
        ({"X": GOOD["X"]}, ValueError, r"descent: missing block \['y', 'w'\], got \['X'\]"),
        ({**GOOD, "v": 1.0}, KeyError, r"descent: unknown block 'v', known are \['X', 'y', 'w'\]"),
        ({**GOOD, "y": np.zeros(4)}, ValueError, r"'y' must have shape \(5, 1\).* got \(4,\)"),
        ({**GOOD, "w": np.full(3, np.nan)}, ValueError, "w must be finite"),
        ({**GOOD, "w": "abc"}, TypeError, "w must hold real numbers"),
        ({**GOOD, "w": torch.zeros(3) * 1j}, TypeError, "w must hold real numbers"),
        (
            {**GOOD, "X": np.zeros((2, 5, 3)), "w": np.zeros((3, 3))},
            ValueError,
            "batches of one length, got {'X': 2, 'w': 3}",
        ),
    ],
)
def test_blocks_that_do_not_fit_are_refused_by_name(descent, blocks, error, message):
    with pytest.raises(error, match=message):
        descent(**blocks)


@table(
    "prompt, blocks, error, message",
    [
        (torch.zeros(5, 5), {"X": 1.0}, TypeError, r"a prompt or blocks, got both: \['X'\]"),
        (
            torch.zeros(5),
            {},
            ValueError,
            r"the prompt must have shape \(\d+, \d+\) or .*got \(5,\)",
        ),
        (np.zeros((5, 5)), {}, TypeError, "prompt must be a tensor"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(descent, prompt, blocks, error, message):
    with pytest.raises(error, match=message):
        descent(prompt, **blocks)


def test_a_prompt_of_another_dtype_or_shape_is_refused(descent):
    with pytest.raises(TypeError, match=r"the weights' dtype torch.float64, got torch.float32"):
        descent(torch.zeros(descent.readout.shape))
    with pytest.raises(ValueError, match=r"unpack: the prompt must have shape .*got \(2, 2\)"):
        descent.unpack(torch.zeros(2, 2))


def test_files_that_are_no_exports_are_refused(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(FileNotFoundError, match=r"load: path must be a file, .* does not exist"):
        elsa_torch.load(path)
    path.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(ValueError, match=r"load: .*a is no safetensors file"):
        elsa_torch.load(path)
    path.write_bytes(safetensors.save({"w": np.zeros(3)}))
    with pytest.raises(ValueError, match=r"load: .*a was not written by elsa.export"):
        elsa_torch.load(path)


def test_other_versions_damage_and_too_many_layers_are_refused(tmp_path):
    path = tmp_path / "a"
    elsa.export(compiled("tied"), path)
    arrays = {name: np.array(array) for name, array in safetensors.load_file(path).items()}
    entry = about(path)

    def rewritten(**changes):
        changed = {**entry, **changes}
        changed[CHECKSUM] = checksum(changed, arrays)
        path.write_bytes(safetensors.save(arrays, {KEY: json.dumps(changed)}))

    rewritten(version=3)
    with pytest.raises(ValueError, match="format version 3, but this elsa reads versions 1 to 2"):
        elsa_torch.load(path)
    order = [
        {**part, "times": 10**6} if part["part"] == "step" else part for part in entry["order"]
    ]
    rewritten(depth=10**6, order=order)
    with pytest.raises(ValueError, match=r"runs 1,000,001 layers, .* at most 10,000"):
        elsa_torch.load(path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is damaged"):
        elsa_torch.load(path)
