"""Every line of metrics.jsonl tells whether it and those before it are what was written."""

import json

import pytest

from experiments.harness import chain, records
from experiments.harness.folder import FolderError, RunFolder
from tests.experiments.harness.test_folder import CONFIG, changed, tree

START = chain.start({"seed": 0})


@pytest.fixture
def data():
    written, last = b"", START
    for case, results in {"one": {"e": 0.1}, "two": [{"e": 1e-300}, {"e": None}], "3": {}}.items():
        lines = records.dump(case, results, seconds=0.25, after=last)
        last = chain.end(lines, last)
        written += lines
    return written


def test_what_was_written_is_whole_as_are_its_first_lines(data):
    lines = data.splitlines(keepends=True)
    for count in range(len(lines) + 1):
        chain.end(b"".join(lines[:count]), START)
    assert all("chain" not in record for record in records.parse(data)[0])
    assert chain.end(data.replace(b"\n", b"\r\n"), START) == chain.end(data, START)


def test_a_line_that_was_altered_lost_put_in_or_moved_is_named(data):
    one, two, three, last = data.splitlines(keepends=True)
    harmed = {
        2: [one + three + last, one + one + two, two + one, one + two.replace(b"1e-300", b"1e-3")],
        1: [one.replace(b"0.1", b"0.2") + two, two + three],
        4: [one + two + three + last.replace(b'"3"', b'"4"')],
    }
    harmed[1].append(harmed[2].pop(2))  # moved: the first line is another one
    for line, files in harmed.items():
        for content in files:
            with pytest.raises(chain.LineError, match=rf"line {line}: not what this run wrote"):
                chain.end(content, START)
    with pytest.raises(chain.LineError, match=r"line 1: .* another run's"):
        chain.end(data, chain.start({"seed": 1}))


def test_equal_runs_have_equal_digests_whenever_they_are_made():
    lines = [
        json.loads(records.dump("one", {"e": 0.1}, seconds=seconds, after=START))
        for seconds in (0.25, 7)
    ]
    assert lines[0].pop("seconds") == 0.25 and lines[1].pop("seconds") == 7
    assert lines[0] == lines[1]
    altered = b'{"case": "one", "seconds": [], "e": 0.1}\n'
    with pytest.raises(chain.LineError, match=r"line 1: seconds must be a number, got \[\]"):
        records.parse(altered)


# as they were written when clock times were part of the digest
TIMED = b"""{"case": "one", "seconds": 0.25, "e": 0.1, "chain": "76b094fdb1f59f75"}
{"case": "two", "seconds": 0.5, "e": 0.2, "chain": "6b8332231dc2e1e7"}
"""
AFTER_NONE = b'{"case": "one", "seconds": 1, "e": 1.0, "chain": "4855fbf564d54397"}\n'


def test_lines_of_earlier_versions_go_before_new_ones(data):
    none = records.dump("zero", {"e": 2.0}, seconds=1)  # without any digest
    for old in (none, TIMED, none + AFTER_NONE, none + none.replace(b"zero", b"0")):
        new = records.dump("new", {"e": 1.0}, seconds=1, after=chain.end(old, START))
        chain.end(old + new, START)
        for before, after in {b"2.0": b"3.0", b"0.25": b"0.26", b"0.1": b"0.2"}.items():
            if before in old:
                with pytest.raises(chain.LineError, match=r"line [123]"):
                    chain.end(old.replace(before, after) + new, START)


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    for case in ("first", "second"):  # each in a process of its own
        with RunFolder.open(path, {**CONFIG, "train": {"keep": 3, "num_steps": 5}}) as folder:
            folder.append(case, {"error": 0.5}, seconds=0.1)
    return path


def test_a_record_that_was_altered_is_refused_naming_file_line_and_ways_out(run):
    path = run / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.7", 1))
    before = tree(run)
    message = r"metrics.jsonl, line 1: not what .* cut it off with those after it, whose cases"
    with pytest.raises(FolderError, match=message):
        RunFolder.open(run, {**CONFIG, "train": {"keep": 3, "num_steps": 5}})
    assert tree(run) == before


def test_settings_that_change_no_result_may_change_and_the_config_says_so(run):
    for train in ({"keep": 1, "checkpoint_seconds": 9.0, "num_steps": 5}, {"num_steps": 5}):
        with RunFolder.open(run, {**CONFIG, "train": train}) as folder:
            assert folder.cases == ["first", "second"]
        assert json.loads((run / "config.json").read_text())["train"] == {"num_steps": 5} | train
    with pytest.raises(FolderError, match=r"train\.num_steps is 5 there, 6 is asked for"):
        RunFolder.open(run, {**CONFIG, "train": {"keep": 1, "num_steps": 6}})
    with pytest.raises(FolderError, match=r"task\.dim is 5 there"):
        RunFolder.open(run, {**changed(dim=7), "train": {"num_steps": 5}})
