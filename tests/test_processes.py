"""Two processes over loopback train what one does, stop as one, and end where one is killed.

They are real ones, with jax's collectives between them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from elsa import training
from elsa.base import stopping, together
from elsa.base.job import Job
from elsa.training import sharing
from elsa.training.pieces import Pace
from tests.training import cases

ROOT = Path(__file__).parents[1]
SECONDS = 30.0  # in which a process ends that has lost another
STEPS, EVERY = 400, 20
ONE_MODEL = {"sweep": {}, "num_seeds": 1}  # its batch is divided, and its gradients are summed
MODELS = {"num_seeds": 2}  # which are divided, and do not talk to one another
PROGRAM = "import sys; from tests import test_processes; test_processes.part(sys.argv[1])"


def part(text):
    """What one process does: trains the runs that it is told, or follows the one that does."""
    told = json.loads(text)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    code = 0
    with stopping.preemption_raises():
        if told["job"]:
            here = together.join(Job(*told["job"]), {})
            if not here.job.leads:
                here.leave(sharing.follow())
        if told["stop_after"] and not (told["job"] and told["job"][3]):
            stops_within_a_stretch(told["stop_after"])
        try:
            for name, config in told["runs"].items():
                where = Path(told["folder"]) / name
                trained = training.fit(config, where, environment=told["environment"])
                leaves = jax.tree.leaves(trained.state)
                np.savez(where.with_suffix(".npz"), *map(np.asarray, leaves))
        except stopping.Preempted as error:
            print(error, file=sys.stderr)
            code = stopping.PREEMPTED
    if told["job"]:
        here.leave(code)
    sys.exit(code)


def stops_within_a_stretch(count):
    """Has the scheduler's signal come in a piece of 7 steps, the one of this number."""
    took, done = Pace.took, []

    def counted(self, steps, seconds):
        took(self, steps, seconds)
        done.append(steps)
        if len(done) == count:
            os.kill(os.getpid(), signal.SIGTERM)

    Pace.took, Pace.count = counted, lambda self, left: min(7, left)


def started(folder, runs, *, devices=1, job=None, environment="same", stop_after=0):
    about = {"job": job, "environment": environment, "stop_after": stop_after}
    told = {"folder": str(folder), "runs": runs, **about}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(told)],
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two_started(folder, runs, **how):
    """The processes of one run, the one that leads first."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return [started(folder, runs, job=["127.0.0.1", port, 2, number], **how) for number in (0, 1)]


def ended(*processes, within=300.0):
    """Exit code and standard error of each."""
    until = time.monotonic() + within
    try:
        said = [process.communicate(timeout=until - time.monotonic())[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def wait_for_lines(folder, count, processes):
    path = folder / cases.METRICS
    while not (path.exists() and path.read_bytes().count(b"\n") >= count):
        assert all(process.poll() is None for process in processes), ended(*processes)
        time.sleep(0.01)


def state(folder, name):
    with np.load(folder / f"{name}.npz") as found:
        return [found[key] for key in found]


def of_steps(**changes):
    return cases.config(
        **changes, train={"num_steps": STEPS, "evaluate_every": EVERY, "average": 0}
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The runs of one process that has two devices."""
    folder = tmp_path_factory.mktemp("unbroken")
    runs = {"one": of_steps(**ONE_MODEL), "models": cases.quiet(**MODELS)}
    assert ended(started(folder, runs, devices=2)) == [(0, "")]
    return folder


@pytest.mark.slow
def test_two_processes_have_the_bits_of_two_devices(tmp_path, unbroken):
    runs = {"one": of_steps(**ONE_MODEL), "models": cases.quiet(**MODELS)}
    assert ended(*two_started(tmp_path, runs)) == [(0, ""), (0, "")]
    for name in runs:
        for found, known in zip(state(tmp_path, name), state(unbroken, name), strict=True):
            assert found.tobytes() == known.tobytes()
        metrics = (folder / name / cases.METRICS for folder in (tmp_path, unbroken))
        assert len({path.read_bytes() for path in metrics}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_who_loses_a_process_ends_and_the_run_goes_on(tmp_path, unbroken, killed):
    runs = {"one": of_steps(**ONE_MODEL)}
    processes = two_started(tmp_path, runs)
    wait_for_lines(tmp_path / "one", 4, processes)
    processes[killed].kill()
    began = time.monotonic()
    codes = ended(*processes, within=SECONDS)
    assert time.monotonic() - began < SECONDS
    assert codes[killed][0] == -signal.SIGKILL
    code, said = codes[1 - killed]
    assert code == stopping.PREEMPTED
    assert len(said.splitlines()) == 1 and f"process {killed}" in said and "go on" in said, said
    cases.copy(tmp_path / "one", tmp_path / "eight" / "one")
    refused = ended(started(tmp_path, runs))[0]
    assert refused[0] == 1 and "device.processes was 2, now 1" in refused[1]
    known = state(unbroken, "one")
    for folder, devices in ((tmp_path, 1), (tmp_path / "eight", 8)):
        went_on = started(folder, runs, devices=devices, environment="accept")
        assert ended(went_on)[0][0] == 0
        for found, value in zip(state(folder, "one"), known, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_one_stops_all_at_one_step(tmp_path, unbroken, signalled):
    runs = {"one": of_steps(**ONE_MODEL)}
    if signalled == 0:
        processes = two_started(tmp_path, runs, stop_after=8)
        at = f"{2 * EVERY + 14} "  # within a stretch, which has three pieces
    else:
        processes = two_started(tmp_path, runs)
        wait_for_lines(tmp_path / "one", 4, processes)
        processes[signalled].terminate()
        at = ""
    (code, said), (other, nothing) = ended(*processes)
    assert code == other == stopping.PREEMPTED and nothing == ""
    assert said.startswith(f"training stopped at step {at}") and len(said.splitlines()) == 1
    assert ended(*two_started(tmp_path, runs)) == [(0, ""), (0, "")]
    for found, known in zip(state(tmp_path, "one"), state(unbroken, "one"), strict=True):
        assert found.tobytes() == known.tobytes()
