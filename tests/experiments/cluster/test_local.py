"""Jobs as processes: they go on without the command, which finds them again."""

import os
import signal
import sys
import time

import pytest

from experiments.cluster.ledger import Ledger
from experiments.cluster.local import Local
from experiments.cluster.places import RUNNING, State

SLEEPS = (
    "import os, time; print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True); time.sleep(60)"
)


def until(condition, seconds=60):
    for _ in range(seconds * 10):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it takes too long")


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_another_command_finds_a_job_that_runs_and_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    ledger = Ledger(tmp_path)
    jobs = ledger.plan([["a"], ["b"]], cluster="local", name="sweep")
    first, other = Local(ledger), Local(ledger)
    assert other.states(jobs) == {}
    first.submit(jobs[:1], [sys.executable, "-c", SLEEPS])
    pid = int(ledger.id(jobs[0]))
    try:
        running = {jobs[0].number: State(RUNNING)}
        assert first.states(jobs) == running and other.states(jobs) == running  # before it begins
        log = tmp_path / "jobs/log" / f"{pid}_0_log.out"
        until(lambda: log.exists() and "3\n" in log.read_text())  # its devices are ours
        os.kill(pid, signal.SIGINT)  # Ctrl-C, which is the command's alone
        old = time.time() - 3600
        os.utime(ledger.folder(1), (old, old))
        assert other.states(jobs) == running
        assert first.cancel(jobs[:1]) == f"kill {pid}"
        os.kill(pid, signal.SIGTERM)
        until(lambda: not first.states(jobs))
        assert other.states(jobs) == {} and ledger.exit_code(jobs[0]) == -signal.SIGTERM
    finally:
        if first.states(jobs):
            os.kill(pid, signal.SIGTERM)


def test_there_is_room_for_a_job_on_each_core(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5}, raising=False)
    local = Local(Ledger(tmp_path))
    assert [local.room(alive) for alive in (0, 2, 3, 4)] == [3, 1, 0, 0]
