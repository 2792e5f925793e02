"""Two hosts that want one folder, without a lock between them: the run's bits, or a refusal."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from elsa import training
from elsa.base import owner
from tests.training import cases
from tests.training.cases import EVERY, METRICS, assert_equal_runs
from tests.training.test_kills import ROOT

BEAT = 0.5
PROGRAM = f"""
import errno, fcntl, json, sys, warnings
import tests.conftest
import jax
jax.config.update("jax_disable_most_optimizations", True)
from elsa import training
from elsa.base import files, owner

def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")

machine = owner._machine
fcntl.flock, owner.BEAT_SECONDS = flock, {BEAT}
owner._machine = lambda: {{**machine(), "host": sys.argv[3]}}
try:
    training.fit(json.loads(sys.argv[1]), sys.argv[2])
except (training.TrainingError, files.WriteError) as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""


def start(config, folder, programs, host):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-c", PROGRAM, cases.json.dumps(config), str(folder), host]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def wait_for_lines(folder, count, processes):
    while all(process.poll() is None for process in processes):
        path = folder / METRICS
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)


def race(config, folder, programs, moments):
    """Both at once; then one of them, or none, is suspended for a while, or killed."""
    both = [start(config, folder, programs, host) for host in ("node1", "node2")]
    wait_for_lines(folder, moments.randint(1, 30), both)
    time.sleep(moments.uniform(0.0, 0.1))
    harm, victim = moments.choice(["suspend", "kill", "none"]), moments.choice(both)
    if harm == "suspend" and victim.poll() is None:
        victim.send_signal(signal.SIGSTOP)
        time.sleep(moments.uniform(3, 8) * BEAT)
        victim.send_signal(signal.SIGCONT)
    elif harm == "kill":
        victim.kill()
    for process in both:
        error = process.communicate(timeout=300)[1].decode()
        killed = harm == "kill" and process is victim
        assert process.returncode in ((0, 3, -signal.SIGKILL) if killed else (0, 3)), error
    return harm, [process.returncode for process in both]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:waiting for")
def test_twenty_races_for_one_folder_end_with_the_bits_of_an_unbroken_run(
    tmp_path, compiled_programs, monkeypatch
):
    monkeypatch.setattr(owner, "BEAT_SECONDS", BEAT)
    config = cases.config(train={"num_steps": 60 * EVERY})
    whole = training.fit(config, tmp_path / "whole")
    moments, ends = random.Random(2407), []
    for number in range(20):
        folder = tmp_path / f"race{number}"
        ends.append(race(config, folder, compiled_programs, moments))
        assert_equal_runs(training.fit(config, folder), whole)
    print(ends)
    assert {harm for harm, _ in ends} == {"suspend", "kill", "none"}
    assert any(0 in codes for _, codes in ends)
