"""Files that are damaged or made to do harm: none gives other numbers or asks for memory."""

import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
from safetensors import numpy as safetensors

import elsa
from elsa import constructions
from elsa.exchange.format import CHECKSUM, KEY, checksum
from elsa.heads.head import HeadWeights
from elsa.nn import LSA, BlockStack, Stack
from elsa.prompts.layout import BlockLayout
from tests.exchange.cases import RIDGE, about, compiled, drawn


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Of a stack with biases and one without: the bytes, what goes in, and what comes out."""
    folder, found = tmp_path_factory.mktemp("exported"), []
    descent = compiled("load layer")
    least_squares = constructions.least_squares_lsa(9, 24, 4, 0.1)
    for stack in (descent, least_squares):
        path = folder / "stack.safetensors"
        elsa.export(stack, path)
        blocks = drawn(RIDGE if stack is descent else stack.inputs)
        found.append((path.read_bytes(), blocks, elsa.load(path)(**blocks)))
    return found


def flipped(rng, data):
    place = int(rng.integers(len(data)))
    bit = 1 << int(rng.integers(8))
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def header_flipped(rng, data):
    (size,) = struct.unpack("<Q", data[:8])
    return flipped(rng, data[: 8 + size]) + data[8 + size :]


def cut(rng, data):
    return data[: rng.integers(len(data))]


def lengthened(rng, data):
    return data + rng.bytes(1 + int(rng.integers(64)))


def zeroed(rng, data):
    start = int(rng.integers(len(data)))
    size = 1 + int(rng.integers(64))
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def without_a_piece(rng, data):
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + 1 + int(rng.integers(16)) :]


def another_digit(rng, data):
    """A number of the header is another one."""
    (size,) = struct.unpack("<Q", data[:8])
    digits = [i for i in range(8, 8 + size) if chr(data[i]).isdigit()]
    place = int(rng.choice(digits))
    other = (data[place] - ord("0") + 1 + int(rng.integers(9))) % 10 + ord("0")
    return data[:place] + bytes([other]) + data[place + 1 :]


def another_word(rng, data):
    """What stands in the metadata is another value, as of a hand that edits it."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    entry = json.loads(header["__metadata__"][KEY])
    key = str(rng.choice(sorted(entry)))
    values = [None, True, -1, 10**30, 1e300, "x", [], {}, [[]] * 3, {"a": {}}, "float32", 7]
    entry[key] = values[int(rng.integers(len(values)))]
    header["__metadata__"][KEY] = json.dumps(entry)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


MUTATIONS = (
    flipped,
    header_flipped,
    cut,
    lengthened,
    zeroed,
    without_a_piece,
    another_digit,
    another_word,
)


@pytest.mark.parametrize("count", [64, pytest.param(2_000, marks=pytest.mark.slow)])
def test_no_change_of_a_file_goes_unnoticed(count, exported, tmp_path, record_property):
    rng, path = np.random.default_rng(0), tmp_path / "a.safetensors"
    refused, same = 0, 0
    for index in range(count):
        data, blocks, expected = exported[index % 2]
        harmed = MUTATIONS[index // 2 % len(MUTATIONS)](rng, data)
        path.write_bytes(harmed)
        tracemalloc.start()
        start = time.process_time()
        try:
            loaded = elsa.load(path)
        except ValueError as error:
            loaded = None
            assert str(path) in str(error)
        seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds < 1.0 and peak < 10 * len(data)
        if loaded is None:
            refused += 1
            continue
        for name, value in loaded(**blocks).items():
            np.testing.assert_array_equal(value, expected[name])
        same += 1
    assert refused > 0.8 * count and refused + same == count  # zeros set to zero change nothing
    record_property("mutated files", count)


# Made to do harm: the checksum is right.


def made(path, entry, arrays):
    entry = {**entry, CHECKSUM: checksum(entry, arrays)}
    path.write_bytes(safetensors.save(arrays, {KEY: json.dumps(entry)}))


def test_a_small_file_cannot_ask_for_a_large_prompt(exported, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(exported[1][0])
    entry = about(path)
    for key in ("layout", "readout"):
        entry[key]["shape"][0] = 2**30
    made(path, entry, _arrays(path))
    with pytest.raises(ValueError, match=r"a: the prompt has 1073741824 rows, but layers without"):
        elsa.load(path)


def _arrays(path):
    return {name: np.array(array) for name, array in safetensors.load_file(path).items()}


def test_thousands_of_blocks_are_soon_read(tmp_path):
    rows, rng = 3_000, np.random.default_rng(0)
    boxes = {f"b{i}": (i, 0, 1, 1) for i in range(rows)}
    empty = np.zeros((1, 0, 0))
    weights = HeadWeights(*rng.normal(size=(3, 1, 1, 1)), empty, empty, empty)
    layout = BlockLayout(boxes)
    shapes = dict.fromkeys(boxes, (1, 1))
    stack = Stack([LSA.from_weights(weights)], 1)
    elsa.export(BlockStack(stack, layout, layout, inputs=shapes, outputs={}), tmp_path / "a")
    start = time.process_time()
    elsa.load(tmp_path / "a")
    assert time.process_time() - start < 5.0  # 38 s where Python looked at every pair


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("text", [DEEP, "9" * 10_000, "NaN", '{"version": NaN}', "\\ud800"])
def test_metadata_that_breaks_a_parser_is_refused(text, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(safetensors.save({"w": np.zeros(3)}, {KEY: text}))
    with pytest.raises(ValueError, match=r"load: .*a"):
        elsa.load(path)


def test_tensors_of_dtypes_that_numpy_does_not_know_are_refused(exported, tmp_path):
    path = tmp_path / "a"
    data = exported[1][0]
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for name, entry in header.items():
        if name != "__metadata__":
            entry["dtype"], entry["shape"] = "F8_E4M3", [8 * entry["shape"][0], *entry["shape"][1:]]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(ValueError, match=r"load: .*a: tensor step.0.w. must be of dtype float64"):
        elsa.load(path)


def test_files_of_the_version_without_checksums_load(exported, tmp_path):
    for data, blocks, expected in exported:
        path = tmp_path / "a"
        path.write_bytes(data)
        entry = {key: value for key, value in about(path).items() if key != CHECKSUM}
        arrays = _arrays(path)
        path.write_bytes(safetensors.save(arrays, {KEY: json.dumps({**entry, "version": 1})}))
        for name, value in elsa.load(path)(**blocks).items():
            np.testing.assert_array_equal(value, expected[name])
