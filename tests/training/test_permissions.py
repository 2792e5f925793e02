"""Files that another user owns: refused by name, and nothing is renamed.

A process of root's may read everything, and so it becomes another user once all is imported.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.training import cases
from tests.training.cases import EVERY, METRICS

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
PROGRAM = """
import json, os, sys
import tests.conftest
import jax
jax.config.update("jax_disable_most_optimizations", True)
from elsa import training
from elsa.base import files
from tests.training import cases

training.fit(cases.quiet(), sys.argv[1])  # imports what is imported late
training.load(sys.argv[1])
if not os.geteuid():
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
found = {}
for place in sys.argv[2:]:
    for call in (lambda: training.fit(cases.config(), place), lambda: training.load(place)):
        try:
            call()
            said = "done"
        except (training.TrainingError, files.WriteError) as error:
            said = f"{type(error).__name__}: {error}"
        found.setdefault(place, []).append(said)
print(json.dumps(found))
"""


@contextlib.contextmanager
def denied(path, mode):
    """Takes rights away, and gives them back."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def array_of(folder):
    """A file with numbers of the newest checkpoint."""
    return min(path for path in (folder / "checkpoints/12/state").rglob("d/*") if path.is_file())


# what cannot be read or written, its rights, and what `fit` and `load` say
CANNOT = "UnreadableCheckpointError: cannot read"
CASES = {
    "checkpoints": (
        lambda folder: folder / "checkpoints", 0o000,
        CANNOT + " {path}: Permission denied; nothing was changed", CANNOT + " {path}: Permission",
    ),
    "the newest": (
        lambda folder: folder / "checkpoints" / "12", 0o000,
        CANNOT + " checkpoint {path}: ", CANNOT + " checkpoint {path}: ",
    ),
    "its notes": (
        lambda folder: folder / "checkpoints/12/notes", 0o000,
        CANNOT + " checkpoint {folder}/checkpoints/12: ",
        CANNOT + " checkpoint {folder}/checkpoints/12: ",
    ),
    "its numbers": (
        array_of, 0o000,
        CANNOT + " checkpoint {folder}/checkpoints/12: ",
        CANNOT + " checkpoint {folder}/checkpoints/12: ",
    ),
    "metrics": (
        lambda folder: folder / METRICS, 0o000,
        "TrainingError: cannot read {path}: Permission denied",
        "TrainingError: load: cannot read {path}: Permission denied",
    ),
    "config": (
        lambda folder: folder / "config.json", 0o000,
        "TrainingError: cannot read {path}: [Errno 13] Permission denied",
        "TrainingError: load: cannot read {path}: [Errno 13] Permission denied",
    ),
    "the folder": (
        lambda folder: folder, 0o000, "", "",
    ),
    "a folder to read": (
        lambda folder: folder, 0o555, "WriteError: cannot write {folder}/", "done",
    ),
    "checkpoints to read": (
        lambda folder: folder / "checkpoints", 0o555,
        "WriteError: cannot write {folder}/checkpoints", "done",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs seteuid of all threads")
def test_another_user_s_files_are_refused_by_name_and_stay_as_they_are(monkeypatch):
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as rights:
        os.chmod(place, 0o755)
        stopped = Path(place) / "stopped"
        cases.interrupted(stopped, 3 * EVERY, monkeypatch)
        before = cases.contents(stopped)
        said = {}
        for name, (harmed, mode, *texts) in CASES.items():
            folder = Path(shutil.copytree(stopped, Path(place) / name))
            if not os.geteuid():
                for path in [folder, *folder.rglob("*")]:
                    os.chown(path, NOBODY, NOBODY)
            path = harmed(folder)
            rights.enter_context(denied(path, mode))
            said[str(folder)] = [text.format(path=path, folder=folder) for text in texts]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(Path(place) / "whole"), *said],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        rights.close()
        for folder, texts in said.items():
            print(*found[folder], sep="\n")
            assert all(map(str.startswith, found[folder], texts)), (folder, found[folder])
            after = cases.contents(folder)
            kept = {name: after.get(name) for name in before}
            assert kept == before, folder
