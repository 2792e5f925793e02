"""What a run writes and shows at its end: the same bits again, or nothing in a folder only read."""

import dataclasses
import errno
import json
import os

import numpy as np
import pytest

from elsa.base import files
from experiments.harness import engine
from experiments.harness.experiment import RunError


@pytest.fixture
def run(squares, config, screen, tmp_path):
    """Runs the squares in one folder."""
    return lambda: engine.run(squares.experiment, config, tmp_path / "run", screen=screen)


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_times_are_in_a_file_of_their_own_and_the_summary_of_every_run_has_the_same_bits(
    config, squares, screen, tmp_path, monkeypatch
):
    asked = []

    def summarise(config, records):
        asked.append(records)
        return {"squares": [record["square"] for record in records]}

    def tables(summary):
        asked.append(summary["seconds"])
        return []

    other = dataclasses.replace(squares.experiment, summarise=summarise, tables=tables)
    monkeypatch.setattr(engine.time, "perf_counter", iter(2.0 ** np.arange(40)).__next__)
    written = []
    for name in ("one", "two"):
        engine.run(other, config, tmp_path / name, screen=screen)
        written.append((tmp_path / name / "summary.json").read_bytes())
        timing = json.loads((tmp_path / name / "timing.json").read_text())
        assert timing["total"] == sum(timing["cases"].values()) > 0
        assert timing["cases"] == {r["case"]: r["seconds"] for r in records(tmp_path / name)}
        assert asked.pop() == timing["cases"] and "seconds" not in asked.pop()[0]
    assert written[0] == written[1]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_finished_run_in_a_folder_that_is_only_read_shows_its_table_and_says_so(
    run, screen, tmp_path, monkeypatch, number
):
    first = run()
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    (tmp_path / "run" / "timing.json").unlink()  # as of an older run
    screen.file.truncate(0)

    def refused(*paths):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "replace", refused)
    assert run() == first
    printed = screen.file.getvalue()
    assert "│ n = 3 │ 9      │" in printed and "files:" not in printed
    said = f"cannot write {tmp_path}/run/summary.json: {os.strerror(number)}. Nothing was written;"
    assert said in printed
    assert all(p.read_bytes() == data for p, data in before.items() if p.name != "timing.json")


def test_a_run_that_is_not_finished_is_refused_in_a_folder_that_is_only_read(
    run, tmp_path, monkeypatch
):
    run()
    (tmp_path / "run" / "summary.json").unlink()

    def refused(*paths):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "replace", refused)
    with pytest.raises(RunError, match=r"summary.json: Read-only file system. 3 of 3 cases are"):
        run()
