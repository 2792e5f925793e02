"""A job's own process: its child gets the signals, and 75 puts it back into the queue."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.cluster import payload

JOB = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("payload", sys.argv[1])
payload = importlib.util.module_from_spec(spec)
spec.loader.exec_module(payload)
payload.Command([sys.executable, "-c", sys.argv[2]], ".", sys.argv[3], {"GONE": None, "NEW": "1"})()
"""
CHILD = """
import os, signal, sys, time
def told(number, _):
    print("told by", signal.Signals(number).name, flush=True)
    sys.exit(75)
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, told)
assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
assert "GONE" not in os.environ and os.environ["NEW"] == "1"
print("begun", os.getpid(), flush=True)
time.sleep(60)
"""
SAYS = "#!/bin/sh\necho {name} $@ >>{folder}/asked\n{answer}\n"


@pytest.fixture
def job(tmp_path):
    """Starts a job in a Slurm whose tools write down what they are asked."""

    def start(child=CHILD, state="RUNNING", requeue="exit 0", **environment):
        for name, answer in (("squeue", f"echo {state}"), ("scontrol", requeue)):
            (tmp_path / name).write_text(SAYS.format(name=name, folder=tmp_path, answer=answer))
            (tmp_path / name).chmod(0o755)
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        known = {"SLURM_JOB_ID": "9", "GONE": "1", "PATH": path, **environment}
        return subprocess.Popen(
            [sys.executable, "-c", JOB, payload.__file__, child, str(tmp_path)],
            env={**os.environ, **known},
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def ends(process, number):
    """Sends a signal once the child has begun; exit code and what was printed since."""
    assert process.stdout.readline().startswith("begun")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    return process.returncode, out


def asked(folder):
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_a_job_whose_time_is_nearly_up_is_put_back_by_its_own_number(job, tmp_path):
    array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    code, out = ends(job(state="COMPLETING", **array), signal.SIGUSR2)
    assert code == 75 and "told by SIGUSR1" in out and "put back into the queue" in out
    assert asked(tmp_path)[-1] == "scontrol requeue 7_3"
    assert json.loads((tmp_path / "exit.json").read_text()) == {"code": 75}


@pytest.mark.parametrize(
    "state, last", [("RUNNING", "scontrol requeue 9"), ("COMPLETING", "squeue --noheader")]
)
def test_a_job_that_slurm_ends_is_left_to_it_but_for_the_time_of_grace(job, tmp_path, state, last):
    code, out = ends(job(state=state), signal.SIGTERM)
    assert code == 75 and "told by SIGTERM" in out
    assert asked(tmp_path)[-1].startswith(last)


def test_a_refusal_of_the_queue_is_said(job):
    code, out = ends(job(requeue="echo no such job >&2; exit 1"), signal.SIGUSR2)
    assert code == 75 and "not put back into the queue: no such job" in out


@pytest.mark.parametrize("child, code", [("pass", 0), ("import sys; sys.exit(3)", 3)])
def test_other_codes_are_the_job_s_and_nothing_is_put_back(job, tmp_path, child, code):
    (tmp_path / "exit.json").write_text("of an earlier try")
    process = job(child)
    process.communicate(timeout=30)
    assert process.returncode == code and asked(tmp_path) == []
    assert json.loads((tmp_path / "exit.json").read_text()) == {"code": code}


def test_without_slurm_nobody_is_asked(job, tmp_path, monkeypatch):
    code, _ = ends(job(SLURM_JOB_ID=""), signal.SIGTERM)
    assert code == 75 and asked(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
def test_a_child_is_told_to_stop_where_the_job_is_killed(job):
    process = job()
    child = int(process.stdout.readline().split()[1])
    process.kill()
    assert "told by SIGTERM" in process.communicate(timeout=30)[0]
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the child goes on")
