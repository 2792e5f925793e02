"""A folder that another user owns: a table where it is finished, else one line and a way out.

A process of root's may read everything, and so it becomes another user once all is imported.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from experiments import run

ROOT = Path(run.__file__).parents[1]
CONFIG = """
from ml_collections import ConfigDict

def get_config(mode="full"):
    return ConfigDict({"experiment": "small", "dtype": "float64", "x": 1})
"""
# The run and the sweep are made, copied and closed; then the same commands come from another user.
PROGRAM = """
import contextlib, io, json, os, shutil, sys, types
from absl.testing import flagsaver
from matplotlib.figure import Figure
from experiments import run
from experiments.harness.experiment import Experiment

driver = types.ModuleType("driver")
driver.EXPERIMENT = Experiment(
    cases=lambda config: {"a": {}, "b": {}}, measure=lambda *_: {"x": 1.0},
    summarise=lambda config, records: {"x": 1}, tables=lambda summary: [],
    figures=lambda *_: {"growth": Figure()})
sys.modules["driver"], run.DRIVERS["small"] = driver, "driver"

def command(folder, *words):
    said = io.StringIO()
    with flagsaver.flagsaver(), contextlib.redirect_stderr(said):
        code = run.main(run.parse_flags(["", "--config=small.py", f"--workdir={folder}", *words]))
    return code, said.getvalue()

def contents(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.join(place, name)] = file.read().hex()
    return found

SWEEP = {"run": (), "sweep": ("--sweep.x=1,2",)}
for kind, words in SWEEP.items():
    assert command(kind, *words)[0] == 0
harms = json.loads(sys.argv[1])
for name, (kind, closed, mode) in harms.items():
    shutil.copytree(kind, name)
    if name.startswith("begun"):
        os.remove(f"{name}/summary.json")
        with open(f"{name}/metrics.jsonl") as file:
            lines = file.readlines()
        with open(f"{name}/metrics.jsonl", "w") as file:
            file.writelines(lines[:1])
    if not os.geteuid():
        for place, folders, names in os.walk(name):
            for each in (place, *(os.path.join(place, each) for each in names)):
                os.chown(each, 65534, 65534)
before = {name: contents(name) for name in harms}
for name, (_, closed, mode) in harms.items():
    os.chmod(os.path.join(name, closed), mode)
root = not os.geteuid()
if root:
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
found = {name: command(name, *SWEEP[kind]) for name, (kind, *_) in harms.items()}
if root:
    os.seteuid(0)
for name, (_, closed, mode) in harms.items():
    os.chmod(os.path.join(name, closed), 0o755)
kept = {name: contents(name) == before[name] for name in harms}
with open("answers.json", "w") as file:
    json.dump({"found": found, "kept": kept}, file)
"""
READ = r"error: cannot read \S*{name}/{closed}: .*Permission denied"
CASES = {  # what it is a copy of, what is closed, its rights -> exit code, and what is said first
    "finished": ("run", "", 0o555, 0, ""),
    "begun": ("run", "", 0o555, 1, r"error: cannot write \S*begun/env.json: Permission denied"),
    "closed": ("run", "", 0o000, 2, r"error: cannot read closed/origin.json: .*Permission denied"),
    "metrics": ("run", "metrics.jsonl", 0o000, 2, READ),
    "config": ("run", "config.json", 0o000, 2, READ),
    "begun, environment": ("run", "env.json", 0o000, 2, READ),
    "sweep finished": ("sweep", "", 0o555, 0, ""),
    "sweep closed": ("sweep", "", 0o000, 1, "error: cannot open folder sweep closed: Permission"),
    "sweep asked": ("sweep", "sweep.json", 0o000, 2, READ),
    "sweep groups": (
        "sweep",
        "groups",
        0o000,
        2,
        r"error: cannot read .*groups/x=1/.*Permission denied",
    ),
    "sweep group": ("sweep", "groups/x=1/metrics.jsonl", 0o000, 2, READ),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs seteuid of all threads")
def test_another_user_s_folder_is_shown_or_refused_by_name():
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        (Path(place) / "small.py").write_text(CONFIG)
        harms = {name: case[:3] for name, case in CASES.items()}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(harms)],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        answers = json.loads((Path(place) / "answers.json").read_text())
    wrong = {}
    for name, (_, closed, _, code, begins) in CASES.items():
        found, said = answers["found"][name]
        expected = begins.format(name=name, closed=closed)
        if found != code or not re.match(expected, said) or not answers["kept"][name]:
            wrong[name] = found, answers["kept"][name], said
    assert wrong == {}
