"""A disk without room, or without inodes, ends a run at once, with one error and nothing before."""

import builtins
import contextlib
import errno
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax.numpy as jnp
import pytest

from elsa.base import files
from elsa.training import quiet
from elsa.training.checkpoint import Checkpoints
from tests.helpers import wide
from tests.training import cases

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)

STATE = {"w": jnp.arange(6.0), "b": jnp.zeros(2, jnp.int32)}
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys, time
import tests.conftest
import jax
jax.config.update("jax_disable_most_optimizations", True)
from elsa import training
from elsa.base import files
try:
    training.fit(json.loads(sys.argv[1]), sys.argv[2])
except files.WriteError as error:
    print(time.time(), flush=True)
    raise SystemExit(f"error: {error}")
"""


def save(folder, *steps):
    with Checkpoints(folder) as checkpoints:
        for step in steps:
            checkpoints.save(step, STATE, {"position": step})


def restored(folder):
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.restore(STATE)


@contextlib.contextmanager
def no_room(monkeypatch, call, place):
    """Refuses to make what has this in its path: "mkdir" folders, "open" files for writing.

    Gives a list of what was refused.
    """
    refused = []

    def full(path):
        if place in os.fspath(path):
            refused.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", os.fspath(path))

    mkdir, opened = os.mkdir, builtins.open

    def making(path, *arguments, **options):
        full(path)
        return mkdir(path, *arguments, **options)

    def opening(path, mode="r", *arguments, **options):
        if not isinstance(path, int) and set(mode) & set("wax"):
            full(path)
        return opened(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        if call == "mkdir":
            patch.setattr(os, "mkdir", making)
        else:
            patch.setattr(builtins, "open", opening)
        yield refused


# where orbax makes what: a checkpoint's folder, its parts, and the files that Python writes
PLACES = [
    ("mkdir", "/2.orbax-checkpoint-tmp"),
    ("mkdir", "/state.orbax-checkpoint-tmp"),
    ("mkdir", "/notes.orbax-checkpoint-tmp"),
    ("open", "/_CHECKPOINT_METADATA"),
    ("open", "/notes.orbax-checkpoint-tmp/metadata"),
    ("open", "/state.orbax-checkpoint-tmp/_METADATA"),
]


# the folder of a first checkpoint, a part of a later one, and a file of each
@pytest.mark.parametrize(
    "before, call, place",
    wide(
        [(before, *place) for before in ((), (1,)) for place in PLACES],
        keep=[((), *PLACES[0]), ((), *PLACES[3]), ((1,), *PLACES[1]), ((1,), *PLACES[5])],
    ),
)
def test_a_checkpoint_that_cannot_be_written_leaves_no_thread_behind_and_one_error(
    before, call, place, tmp_path, monkeypatch, capfd, caplog
):
    save(tmp_path, *before)
    started = set(threading.enumerate())
    with no_room(monkeypatch, call, place) as refused:
        try:
            save(tmp_path, 2, 3)
        except files.WriteError as error:
            assert re.search("^cannot write .*: No space left on device$", str(error))
        else:
            assert not refused
            pytest.skip(f"this orbax makes nothing like {place} by {call}()")
    # what is left may be a pool's thread, which has nothing to do and ends with the process
    waiting = [t.name for t in set(threading.enumerate()) - started if "store" not in t.name]
    assert not waiting
    assert capfd.readouterr().err == "" and not caplog.records
    if before:
        assert restored(tmp_path).step == 1
    save(tmp_path, 4)
    assert restored(tmp_path).step == 4


class SlowThread(threading.Thread):
    """One of orbax's that is still writing when the checkpoint has failed."""

    __module__ = "orbax.checkpoint"


def test_what_a_slow_thread_says_after_the_one_error_is_not_heard(monkeypatch, capfd, caplog):
    monkeypatch.setattr(quiet, "_SETTLES", 0.01)
    monkeypatch.setattr(quiet, "_lasting", [])
    logger, goes_on = logging.getLogger("absl"), threading.Event()
    filters = list(logger.filters)

    def write():
        goes_on.wait(60)
        logger.handle(
            logger.makeRecord("absl", logging.ERROR, "/orbax/a.py", 1, "lost", None, None)
        )

    thread = SlowThread(target=write)
    thread.start()
    try:
        with contextlib.ExitStack() as silence:
            silence.enter_context(quiet.orbax_is_silent())
            quiet.settle(silence)
        goes_on.set()
        thread.join()
        assert capfd.readouterr().err == "" and not caplog.records
    finally:
        goes_on.set()
        for lasting in quiet._lasting:
            lasting.close()
    assert logger.filters == filters


@contextlib.contextmanager
def few_inodes(folder, count):
    """A file system in memory of so many files and folders."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"nr_inodes={count}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs of {count} inodes: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a tmpfs of few inodes needs Linux")
# the first checkpoint's folder, its parts, its arrays, and the same of a later one
@pytest.mark.parametrize("count", [7, 8, 9, 10, 11, 14, 24, 25, 26, 28, 40])
def test_without_inodes_the_process_ends_within_10_seconds_of_its_one_line(
    count, tmp_path, compiled_programs
):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(compiled_programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    config = cases.config(train={"num_steps": 600, "keep": 100})
    command = [
        sys.executable,
        "-W",
        "ignore:the run's tracker",
        "-c",
        PROGRAM,
        cases.json.dumps(config),
        str(tmp_path / "run"),
    ]
    with few_inodes(tmp_path, count):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        ended = time.time()
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("error: cannot ")
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.endswith(": No space left on device\n")
        # of a machine that does other work, too, the process has a share
        share = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert ended - float(done.stdout) <= 10.0 * share
        lines = cases.lines(tmp_path / "run") if (tmp_path / "run" / cases.METRICS).exists() else []
        assert [line["step"] for line in lines] == [6 * n for n in range(1, len(lines) + 1)]
