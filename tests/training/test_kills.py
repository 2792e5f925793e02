"""A run that is killed at any moment ends with the bits of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from elsa import training
from tests.training import cases
from tests.training.cases import EVERY, METRICS, assert_equal_runs

PROGRAM = """
import json, sys
import tests.conftest
import jax
jax.config.update("jax_disable_most_optimizations", True)
from elsa import training
training.fit(json.loads(sys.argv[1]), sys.argv[2])
"""
ROOT = Path(__file__).resolve().parents[2]


def start(config, folder, programs):
    """Trains in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-c", PROGRAM, cases.json.dumps(config), str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def kill_at_random_moments(config, folder, programs, *, times, moments):
    """SIGKILL, each once the run has come further by some evaluations and a random time."""
    for _ in range(times):
        process = start(config, folder, programs)
        path, behind = folder / METRICS, 0
        wanted, killed = moments.randint(1, 4), False
        size = path.stat().st_size if path.exists() else 0
        while process.poll() is None:
            now = path.stat().st_size if path.exists() else 0
            behind += now > size
            size = now
            if behind >= wanted:
                time.sleep(moments.uniform(0.0, 0.1))
                process.kill()
                killed = True
                break
            time.sleep(0.002)
        error = process.communicate()[1].decode()
        assert killed and process.returncode == -signal.SIGKILL, error


def kill_by_the_clock(config, folder, programs, *, times, moments):
    """SIGKILL at any time: every second one just after the process has taken the folder, while it
    looks through what is there, opens a checkpoint or compiles."""
    for number in range(times):
        process = start(config, folder, programs)
        if number % 2:
            while process.poll() is None and not is_owned(folder, process.pid):
                time.sleep(0.002)
            time.sleep(moments.uniform(0.0, 0.5))
        else:
            time.sleep(moments.uniform(0.0, 6.0))
        process.kill()
        error = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, error


def is_owned(folder, pid):
    try:
        return f'"pid": {pid},' in (folder / ".owner").read_text()
    except FileNotFoundError:
        return False


def assert_kills_change_nothing(steps, tmp_path, programs, *, times, by_the_clock=0):
    config = cases.config(train={"num_steps": steps})
    quiet = cases.quiet(train={"num_steps": steps})  # checkpoints cost time, and change no bit
    whole = training.fit(quiet, tmp_path / "whole")
    folder, moments = tmp_path / "killed", random.Random(2407)
    kill_by_the_clock(config, folder, programs, times=by_the_clock // 2, moments=moments)
    kill_at_random_moments(config, folder, programs, times=times, moments=moments)
    kill_by_the_clock(config, folder, programs, times=by_the_clock // 2, moments=moments)
    assert_equal_runs(training.fit(quiet, folder), whole)


def test_a_kill_at_a_random_moment_changes_no_bit(tmp_path, compiled_programs):
    assert_kills_change_nothing(60 * EVERY, tmp_path, compiled_programs, times=1)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_bit(tmp_path, compiled_programs):
    steps = 1_000 * EVERY
    assert_kills_change_nothing(steps, tmp_path, compiled_programs, times=10, by_the_clock=10)
