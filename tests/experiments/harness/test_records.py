"""The lines of metrics.jsonl: written strictly, read with one tolerance, the cut end."""

import json
import math

import numpy as np
import pytest

from elsa.base import strict_json
from experiments.harness import records
from tests.helpers import table

ONE = records.dump("one", {"error": 0.1, "sizes": [1, 2]}, seconds=0.25)
TWO = records.dump("two", [{"error": 1e-300}, {"error": None}], seconds=1)
LAST = records.dump("last", {}, seconds=2)


def test_records_survive_the_file_bit_for_bit():
    found, length, dropped = records.parse(ONE + TWO + LAST)
    assert found == [
        {"case": "one", "seconds": 0.25, "error": 0.1, "sizes": [1, 2]},
        {"case": "two", "part": 0, "parts": 2, "seconds": 1, "error": 1e-300},
        {"case": "two", "part": 1, "parts": 2, "seconds": 1, "error": None},
        {"case": "last", "seconds": 2},
    ]
    assert length == len(ONE + TWO + LAST) and dropped == ""


def test_no_file_has_no_records():
    assert records.parse(b"") == ([], 0, "")


@table("cut", range(1, len(TWO)))
def test_a_case_that_a_kill_cut_anywhere_is_left_out_whole(cut):
    found, length, dropped = records.parse(ONE + TWO[:cut])
    assert [record["case"] for record in found] == ["one"]
    assert length == len(ONE)
    assert "cut off" in dropped or "only 1 of the 2 records of case 'two'" in dropped


@table(
    "data, message",
    [
        (ONE[:-9] + b"\n" + LAST, "line 1: no JSON"),
        (ONE + b"\n" + LAST, "line 2: no JSON"),
        (ONE + b'{"case": "two", "error": NaN}\n', "line 2: no JSON .NaN is not JSON"),
        (ONE + b'{"case": "\xff"}\n', "line 2: no JSON"),
        (ONE + b"[1]\n", "line 2: no record of a case"),
        (ONE + b'{"error": 1}\n', "line 2: no record of a case"),
        (ONE + LAST + ONE, "line 3: case 'one' is recorded twice"),
        (
            TWO.splitlines(keepends=True)[0] + LAST,
            "line 2: expected part 1 of 2 of case 'two', got",
        ),
        (
            TWO.splitlines(keepends=True)[1] + LAST,
            "line 1: expected part 0 of 2 of case 'two', got",
        ),
        (b'{"case": "two", "parts": 0}\n', "line 1: parts must be a whole number"),
    ],
)
def test_any_other_damage_is_an_error_with_its_line(data, message):
    with pytest.raises(records.LineError, match=message):
        records.parse(data)


@table(
    "results, error, message",
    [
        ({"risk": {"mean": math.nan}}, ValueError, "case 'c': risk.mean is nan, which JSON"),
        ([{"e": 1.0}, {"e": [0.0, -math.inf]}], ValueError, r"case 'c': e\[1\] is -inf"),
        ({"e": 1j}, TypeError, "case 'c': e is a builtins.complex; write a plain number"),
        ({"e": {1: 2}}, TypeError, "case 'c': e: key 1 must be a string"),
        ({"seconds": 1.0}, ValueError, "case 'c': the field 'seconds' is the run folder's own"),
        ([], ValueError, "case 'c': it measured nothing"),
    ],
)
def test_what_is_no_plain_finite_json_is_refused_by_case_and_field(results, error, message):
    with pytest.raises(error, match=message):
        records.dump("c", results, seconds=0.0)


def test_numpy_numbers_are_refused_unless_they_are_python_floats():
    assert b'"e": 0.5' in records.dump("c", {"e": np.float64(0.5)}, seconds=0.0)
    with pytest.raises(TypeError, match=r"e is a numpy\.float32"):
        records.dump("c", {"e": np.float32(0.5)}, seconds=0.0)


def test_strict_json_names_the_whole_where_there_is_no_field():
    with pytest.raises(ValueError, match="summary: the value is inf"):
        strict_json.dumps(math.inf, where="summary")
    assert json.loads(strict_json.dumps({"a": (1, True)}, where="summary")) == {"a": [1, True]}
