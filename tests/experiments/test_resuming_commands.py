"""What the command answers where a run was stopped and then something happened: code and words.

Every case starts from the same stopped run, and where the command ends with 0, it ends with the
results of a run that nothing disturbed.
"""

import errno
import itertools
import json
import os
import re
import shutil
import signal
import sys
import threading
import types
import warnings

import pytest
from absl.testing import flagsaver
from matplotlib.figure import Figure

from elsa import training
from elsa.base import files, owner
from elsa.training.pieces import Pieces
from elsa.training.writers import MetricsFile
from experiments import run
from experiments.harness.experiment import Experiment
from tests.damage import harm
from tests.training import cases
from tests.training.cases import EVERY
from tests.training.conftest import compiled_programs, compiles_fast  # noqa: F401
from tests.training.test_environment import elsewhere

CONFIG = """
from ml_collections import ConfigDict

def get_config(mode="full"):
    return ConfigDict({"experiment": "small", "dtype": "float64", "train": {"keep": 3}})
"""
COMMAND = ("--config=small.py", "--workdir=run")
RUN, NEWEST = "run/training/run", "run/training/run/checkpoints/12"
AGAIN = r"  .*-m experiments.run --config=small.py --workdir=run.*"


def measure(config, case, place):
    folder = place.folder / "training" / "run"
    settings = cases.config(train={"keep": config.train.keep})
    trained = training.fit(settings, folder, environment=place.environment, screen=place.screen)
    return [{"risks": trained.risk(64)[0].tolist()}]


EXPERIMENT = Experiment(
    cases=lambda config: {"all": {}},
    measure=measure,
    summarise=lambda config, records: {"risks": records[0]["risks"]},
    tables=lambda summary: [],
    figures=lambda config, records, summary: {"growth": Figure()},
)


@pytest.fixture
def command(tmp_path, monkeypatch, compiles_fast):  # noqa: F811
    """The command in a folder of its own, in this process."""
    (tmp_path / "small.py").write_text(CONFIG)
    driver = types.ModuleType("driver_of_small")
    driver.EXPERIMENT = EXPERIMENT
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    monkeypatch.setitem(run.DRIVERS, "small", driver.__name__)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with flagsaver.flagsaver(), warnings.catch_warnings():
            warnings.simplefilter("always")
            return run.main(run.parse_flags(["run.py", *COMMAND, *words]))

    return call


def changed(name, change):
    """Rewrites a file."""

    def harms(folder, patch):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return harms


def signalled(*numbers):
    """Signals while the steps up to 15 are running."""

    def comes(folder, patch):
        advance = Pieces.advance

        def interrupted(self, state, step):
            found = advance(self, state, step)
            for number in numbers if found[1] == 13 else ():
                signal.raise_signal(number)
            return found

        patch.setattr(Pieces, "advance", interrupted)

    return comes


def without_permission(folder, patch):
    harm.deny(min((folder / NEWEST / "notes").rglob("*")), patch)


def without_room(folder, patch):
    def append(self, record):
        raise files.WriteError(self.path, OSError(errno.ENOSPC, "No space left on device"))

    patch.setattr(MetricsFile, "append", append)


def owned(lives):
    """Another host's file of an owner, that gives a sign of life or none."""

    def takes(folder, patch):
        patch.setattr(owner, "BEAT_SECONDS", 0.05)
        path, beats = folder / RUN / ".owner", itertools.count()

        def beat():
            there = {"token": "x", "host": "node7", "pid": 12, "job": "4711", "beat": next(beats)}
            path.write_text(json.dumps(there))

        beat()
        if lives:
            patch.setattr(owner, "_DEAD", set())

            def go_on():
                while not stop.wait(0.02):
                    beat()

            stop, thread = threading.Event(), threading.Thread(target=go_on)
            thread.start()
            return lambda: (stop.set(), thread.join())

    return takes


def another_jax(folder, patch):
    elsewhere(patch, versions__jax="99.0")


def renamed(name):
    return lambda folder, patch: os.rename(folder / NEWEST, (folder / NEWEST).with_name(name))


def none(folder, patch):
    """No harm."""


STOPPED = "preempted. training stopped at step 13 of 24"
METRICS, NOTES = f"{RUN}/metrics.jsonl", f"{NEWEST}/notes/metadata"
# what happened, more words -> the exit code, and what standard error begins and ends with
CASES = {
    "nothing": (none, (), 0, ""),
    # 1: what cannot be read is refused, what was altered is set aside
    "permission": (without_permission, (), 1, "error: cannot read checkpoint .*Permission"),
    "flipped": (changed(NOTES, lambda data: data[:-9] + b"x" + data[-8:]), (), 0, ""),
    # 2: one line, and the command
    "no room": (without_room, (), 1, "error: cannot write .*: No space left"),
    # 4: another host
    "living owner": (owned(True), (), 1, "error: .* process 12 on node7, job 4711"),
    "silent owner": (owned(False), (), 0, ""),
    # 5: signals
    "SIGTERM": (signalled(signal.SIGTERM), (), 75, STOPPED),
    "SIGTERM twice": (
        signalled(signal.SIGTERM, signal.SIGTERM), (), 75, STOPPED,
    ),
    "SIGUSR1": (signalled(signal.SIGUSR1), (), 75, STOPPED),
    "SIGHUP": (signalled(signal.SIGHUP), (), 75, STOPPED),
    "Ctrl-C": (signalled(signal.SIGINT), (), 130, "interrupted. training stopped at step 13 of 24"),
    "limit": (none, ("--max_seconds=0.01",), 75, r"preempted"),
    # 6: the environment
    "jax": (another_jax, (), 1, r'error: run/training/run holds a run of another environment: ver'),
    "jax accepted": (another_jax, ("--environment=accept",), 0, ""),
    "keep": (none, ("--config.train.keep=1",), 0, ""),
    # 7: metrics.jsonl and what lies beside it
    "CRLF": (changed(METRICS, lambda data: data.replace(b"\n", b"\r\n")), (), 1, "error: .*metr"),
    "NULs": (changed(METRICS, lambda data: b"\0\0" + data[2:]), (), 1, "error: .*metrics.jsonl is"),
    "lost line": (
        changed(METRICS, lambda data: data[: data.index(b"\n") + 1]), (), 0, "",
    ),
    "renamed": (renamed("7"), (), 0, ""),
    "renamed back": (renamed("012"), (), 1, r"error: .*checkpoints/012 is no name of a checkpoint"),
    "env.json": (changed(f"{RUN}/env.json", lambda data: data[9:]), (), 0, ""),
    "env.json above": (changed("run/env.json", lambda data: data[9:]), (), 0, ""),
}  # fmt: skip


def results(folder):
    """What the run says, but for clock times."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        del record["seconds"]
    names = ("summary.json", "figures/growth.svg", "training/run/metrics.jsonl")
    return records, [(folder / name).read_bytes() for name in names]


@pytest.mark.slow
def test_every_command_says_what_happened_and_ends_with_its_code_and_the_same_bits(
    command, tmp_path, monkeypatch, capsys
):
    assert command() == 0
    whole = results(tmp_path / "run")
    shutil.move(tmp_path / "run", tmp_path / "whole")
    with monkeypatch.context() as patch:
        cases.interrupt_at(3 * EVERY, patch)
        assert command() == 130
    shutil.move(tmp_path / "run", tmp_path / "stopped")
    capsys.readouterr()
    wrong = {}
    for name, (happens, words, code, begins) in CASES.items():
        folder = shutil.copytree(tmp_path / "stopped", tmp_path / "run")
        with monkeypatch.context() as patch:
            ends = happens(tmp_path, patch)
            found = command(*words)
            if ends:
                ends()
        said = capsys.readouterr().err.splitlines()
        as_said = not code or bool(
            re.match(begins, said[0]) and re.fullmatch(AGAIN, said[-1]) if said else False
        )
        if code in (75, 130):
            as_said &= command() == 0
            capsys.readouterr()
        same = code not in (0, 75, 130) or results(folder) == whole
        if not (found == code and as_said and same):
            wrong[name] = found, same, said
        shutil.rmtree(folder)
    assert wrong == {}
