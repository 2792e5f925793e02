"""Two hosts that want one folder, without a lock between them: the run's bits, or a refusal."""

import errno
import fcntl
import multiprocessing
import os
import random
import signal
import sys
import time

import jax
import pytest

from elsa import training
from elsa.base import files, owner
from tests.training import cases
from tests.training.cases import EVERY, METRICS, assert_equal_runs

BEAT = 0.5


def train(config, folder, programs, host, errors):
    """A process of its own that has no locks, on a host of that name."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    machine = owner._machine
    fcntl.flock, owner.BEAT_SECONDS = flock, BEAT
    owner._machine = lambda: {**machine(), "host": host}
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_compilation_cache_dir", programs)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
    try:
        training.fit(config, folder)
    except (training.TrainingError, files.WriteError) as error:
        print(error, file=sys.stderr)
        sys.exit(3)


def start(context, config, folder, programs, host):
    errors = f"{folder}.{host}"
    arguments = (config, str(folder), str(programs), host, errors)
    process = context.Process(target=train, args=arguments)
    process.start()
    return process, errors


def wait_for_lines(folder, count, processes):
    while all(process.is_alive() for process in processes):
        path = folder / METRICS
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)


def race(context, config, folder, programs, moments):
    """Both at once; then one of them, or none, is suspended for a while, or killed."""
    both = [start(context, config, folder, programs, host) for host in ("node1", "node2")]
    wait_for_lines(folder, moments.randint(1, 12), [process for process, _ in both])
    time.sleep(moments.uniform(0.0, 0.1))
    harm = moments.choice(["suspend", "kill", "none"])
    victim = moments.choice(both)[0]
    if harm == "suspend" and victim.is_alive():
        os.kill(victim.pid, signal.SIGSTOP)
        time.sleep(moments.uniform(3, 8) * BEAT)
        os.kill(victim.pid, signal.SIGCONT)
    elif harm == "kill":
        victim.kill()
    for process, errors in both:
        process.join()
        killed = harm == "kill" and process is victim
        with open(errors) as file:
            assert process.exitcode in ((0, 3, -signal.SIGKILL) if killed else (0, 3)), file.read()
    return harm, [process.exitcode for process, _ in both]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:waiting for")
@pytest.mark.filterwarnings("ignore:.* does not go with metrics.jsonl")  # and an older one does
def test_twenty_races_for_one_folder_end_with_the_bits_of_an_unbroken_run(
    tmp_path, compiled_programs, monkeypatch
):
    monkeypatch.setattr(owner, "BEAT_SECONDS", BEAT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, for all of them
    config = cases.config(train={"num_steps": 24 * EVERY})
    whole = training.fit(config, tmp_path / "whole")
    moments, ends = random.Random(2407), []
    for number in range(20):
        folder = tmp_path / f"race{number}"
        ends.append(race(context, config, folder, compiled_programs, moments))
        assert_equal_runs(training.fit(config, folder), whole)
        print(ends[-1], flush=True)
    assert {harm for harm, _ in ends} == {"suspend", "kill", "none"}
    assert any(0 in codes for _, codes in ends)
