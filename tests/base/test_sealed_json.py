"""A file with a digest of its own is what was written, or refused."""

import json

import pytest

from elsa.base import sealed_json
from elsa.base.settings import for_results, taken_over

VALUE = {"folder": "/a", "at": 6, "nested": {"x": [1.5, None, True]}}


def test_what_is_read_is_what_was_written_without_the_digest(tmp_path):
    path = tmp_path / "a.json"
    sealed_json.write(path, VALUE)
    assert sealed_json.read(path) == VALUE
    assert list(json.loads(path.read_text())) == [*VALUE, "sha256"]
    path.write_text(json.dumps(json.loads(path.read_text())))  # in one line: the same content
    assert sealed_json.read(path) == VALUE


def test_every_flipped_bit_that_leaves_json_is_seen_or_leaves_the_values(tmp_path):
    path = tmp_path / "a.json"
    sealed_json.write(path, VALUE)
    data, seen = path.read_bytes(), 0
    for at in range(len(data)):
        for bit in range(8):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            try:
                found = sealed_json.read(path)
            except ValueError:
                seen += 1
            else:  # but for the name of the digest, whose file then counts as one without
                assert {key: found[key] for key in VALUE if key in found} == VALUE
    assert seen > 0.8 * 8 * len(data)


@pytest.mark.parametrize("text, message", [("[1]", "no JSON object"), ("{", "Expecting")])
def test_no_json_object_is_refused(text, message, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        sealed_json.read(tmp_path / "a.json")


def test_settings_that_change_no_result_are_told_from_those_that_do():
    there = {"train": {"keep": 3, "batch": 8}, "runs": {"a": {"train": {"keep": 1}}}, "keep": 2}
    asked = {"train": {"checkpoint_seconds": 1.0, "batch": 9}, "runs": {"a": {"train": {}}}}
    assert for_results(there) == {"train": {"batch": 8}, "runs": {"a": {"train": {}}}, "keep": 2}
    assert taken_over(there, asked) == {
        "train": {"batch": 8, "checkpoint_seconds": 1.0},
        "runs": {"a": {"train": {}}},
        "keep": 2,
    }
    assert there["train"] == {"keep": 3, "batch": 8}
    assert taken_over({"train": 3}, asked) == {"train": 3} and for_results(3) == 3
