"""A scheduler's signals and kills at any place of an experiment: the same bits in the end.

A signal that asks to stop ends it with exit code 75, whether it comes once or twice.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elsa import training
from experiments import run
from tests.training.cases import assert_same_bits

ROOT = Path(run.__file__).parents[1]
CONFIG = """
from ml_collections import ConfigDict

def get_config(mode="full"):
    return ConfigDict({"experiment": "small", "dtype": "float64"})
"""
# A driver beside the config: one small run, its risk, a figure.
DRIVER = """
from matplotlib.figure import Figure
from elsa import training
from experiments.harness.experiment import Experiment
from tests.training import cases

def measure(config, case, place):
    folder = place.folder / "training" / "run"
    trained = training.fit(cases.config(train={"num_steps": 60}), folder, screen=place.screen)
    return [{"risks": trained.risk(64)[0].tolist()}]

def figures(config, records, summary):
    figure = Figure()
    figure.subplots().plot(records[0]["risks"][0])
    return {"risks": figure}

EXPERIMENT = Experiment(
    cases=lambda config: {"all": {}}, measure=measure,
    summarise=lambda config, records: {"cases": len(records)}, tables=lambda summary: [],
    figures=figures)
"""
# Signals in a row, once: beside what is running, or after it.
LAUNCH = """
import os, signal, sys, threading
import jax
jax.config.update("jax_disable_most_optimizations", True)
from elsa.training import checkpoint, pieces, progress
from experiments import run
from experiments.harness import folder

def send():
    for name in names:
        os.kill(os.getpid(), signal.Signals[name])

def disturb(owner, name, *, beside):
    function, sent = getattr(owner, name), []

    def disturbed(*args, **words):
        if beside and not sent:
            threading.Timer(after, send).start()
        found = function(*args, **words)
        if not beside and not sent:
            send()
        sent.append(1)
        return found

    setattr(owner, name, disturbed)

place, names, after = sys.argv[1], sys.argv[2].split(","), float(sys.argv[3])
del sys.argv[1:4]
if place == "compilation":
    disturb(pieces.Pieces, "advance", beside=True)
elif place == "evaluation":
    disturb(progress, "shown", beside=False)
elif place == "checkpoint":  # which is written in the background
    disturb(checkpoint.Checkpoints, "save", beside=False)
elif place == "record":
    disturb(folder.RunFolder, "append", beside=False)
elif place == "figures":
    disturb(folder.RunFolder, "write_figure", beside=True)
run.DRIVERS["small"] = "driver_of_one"
run.start()
"""
PLACES = ["compilation", "checkpoint", "evaluation", "record", "figures"]  # as they follow


def experiment(folder, place="nowhere", signals="SIGTERM", after=0.05):
    """The command as a process, to which the signals come at a place.

    Where something is running there, that is after so many seconds.
    """
    words = ["--config=small.py", f"--workdir={folder.name}"]
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, place, signals, str(after), *words],
        cwd=folder.parent,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder.parent}",
            "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def results(folder):
    """All that must come again: records without their times, metrics, figures."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    held = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".png", ".svg") or path.match("training/*/metrics.jsonl")
    }
    return lines, held


def assert_ends_as(whole, folder):
    """The same command goes on, to the bits of a run that nothing disturbed."""
    again = experiment(folder)
    assert again.returncode == 0, (folder.name, again.stderr)
    assert results(folder) == results(whole), folder.name
    for path in (folder / "training").iterdir():
        unbroken = training.all_models(whole / "training" / path.name)
        assert_same_bits(training.all_models(path), unbroken)
    assert not list(folder.rglob(".owner*"))


@pytest.fixture
def whole(tmp_path):
    """The folder of a run that nothing disturbed."""
    (tmp_path / "small.py").write_text(CONFIG)
    (tmp_path / "driver_of_one.py").write_text(DRIVER)
    done = experiment(tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    return tmp_path / "whole"


@pytest.mark.slow
def test_ten_preemptions_anywhere_change_no_bit(whole, tmp_path):
    for place, signals in itertools.product(PLACES, ("SIGTERM", "SIGTERM,SIGTERM")):
        folder = tmp_path / f"{place} {signals}"
        stopped = experiment(folder, place, signals)
        assert stopped.returncode == 75, (place, signals, stopped.stdout, stopped.stderr)
        assert "Traceback" not in stopped.stderr, (place, signals, stopped.stderr)
        assert stopped.stderr.startswith("preempted"), (place, signals, stopped.stderr)
        assert_ends_as(whole, folder)


@pytest.mark.slow
def test_twenty_kills_of_an_experiment_anywhere_change_no_bit(whole, tmp_path):
    moments = random.Random(2407)
    for number in range(4):
        folder = tmp_path / f"killed {number}"
        for place in PLACES:
            killed = experiment(folder, place, "SIGKILL", moments.uniform(0.0, 0.1))
            assert killed.returncode == -signal.SIGKILL, (place, killed.stdout, killed.stderr)
        assert_ends_as(whole, folder)
