"""A signal to all processes of a sweep in local jobs: the command's, its jobs' and theirs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.slurm import driver

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow  # each starts five processes of our own Python, twice


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Starts a sweep of three groups in two jobs, at the head of a process group."""
    driver.write(tmp_path)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    words = ["--config.pause=0.5", "--sweep.model.depth=1,2,3", "--jobs=2", "--cluster=local"]

    def start():
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.run", "--config=steps.py", *words, "--workdir=it"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def begun(folder, process, count=2):
    """Waits until so many groups have taken a step."""
    while len(list(folder.glob("groups/*/steps.txt"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def assert_complete(folder, process):
    """The sweep ends with all rows, and no step was taken twice."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert pl.read_parquet(folder / "table.parquet")["status"].to_list() == ["done"] * 3
    for path in folder.glob("groups/*/steps.txt"):
        assert list(map(int, path.read_text().split())) == list(range(1, driver.STEPS + 1))
    return out


def assert_gone(session):
    """Nothing of a session is left within seconds, but for what waits to be read by its parent."""
    for _ in range(200):
        words = ["ps", "--no-headers", "-o", "stat", "-s", str(session)]
        left = subprocess.run(words, capture_output=True, text=True).stdout.split()
        if all(state.startswith("Z") for state in left):
            return
        time.sleep(0.1)
    pytest.fail(f"processes go on: {left}")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_all_save_and_end_with_75_and_the_same_command_completes(sweep, tmp_path, name):
    folder, first = tmp_path / "it", sweep()
    begun(folder, first)
    os.killpg(first.pid, getattr(signal, name))
    out, err = first.communicate(timeout=60)
    assert first.returncode == 75, out + err
    assert "the signal reached jobs, too: waiting until" in out
    said = r"preempted\. 0 of 3 groups are done\. Jobs that have saved and stopped, too: 2\.\n"
    assert re.match(said + "To come back, run:\n  .*--cluster=local\n", err), err
    for number in (1, 2):
        assert (folder / f"jobs/000{number}/exit.json").read_text() == '{"code": 75}\n'
    assert_gone(first.pid)
    out = assert_complete(folder, sweep())
    assert "3 groups in 2 jobs (local)" in out


def test_ctrl_c_and_a_lost_terminal_end_the_command_and_leave_its_jobs(sweep, tmp_path):
    folder, first = tmp_path / "it", sweep()
    begun(folder, first)
    os.killpg(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130 and "The jobs go on: 2 jobs run, 0 wait." in err, out + err
    os.killpg(first.pid, signal.SIGHUP)
    assert_complete(folder, sweep())
    assert not list(folder.glob("jobs/*/told.json"))
    assert sorted(path.name for path in folder.glob("jobs/0*")) == ["0001", "0002"]
