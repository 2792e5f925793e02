"""One run on two processes that a real `srun` starts, by the batch script of docs/scaling.md."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.slurm import running
from tests.slurm.conftest import ROOT

pytestmark = pytest.mark.slow

# what the script calls; its container is our own Python, and its depth a run of seconds
APPTAINER = """#!/bin/bash
while [ "$1" != elsa.sif ]; do shift; done
exec {python} -m experiments.run --config={root}/configs/train.py:quick {words} "${{@:3}}"
"""
SRUN = """#!/bin/bash
{srun} "$@"
code=$?
echo $code >>{folder}/codes
exit $code
"""
WORDS = (
    "--config.train.num_steps=400 --config.train.evaluate_every=20 "
    "--config.train.checkpoint_seconds=0"
)


class Script:
    """The script in a folder of its own.

    Attributes:
      folder: where it runs.
      job: its number in Slurm.
    """

    def __init__(self, folder, environment):
        text = (ROOT / "docs/scaling.md").read_text()
        script = re.search(r"```bash manual\n(#!/bin/bash.*?)```", text, flags=re.DOTALL)[1]
        here = "--nodes=2 --ntasks-per-node=1 --gpus-per-node=8"  # this Slurm has one node
        assert here in script
        script = script.replace(here, "--nodes=1 --ntasks-per-node=2")
        (folder / "script.sh").write_text(script)
        srun = shutil.which("srun", path=environment["PATH"])
        for name, body in {
            "apptainer": APPTAINER.format(python=sys.executable, root=ROOT, words=WORDS),
            "srun": SRUN.format(srun=srun, folder=folder),
        }.items():
            (folder / name).write_text(body)
            (folder / name).chmod(0o755)
        path = os.pathsep.join([str(folder), environment["PATH"]])
        self.folder = folder
        self._environment = {**environment, "PATH": path, "PYTHONPATH": str(ROOT)}
        self.job = self.ask("sbatch", "--parsable", "--output=log", "script.sh").strip()

    def ask(self, *words):
        """What a tool of Slurm prints."""
        ran = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    @property
    def run(self):
        """The run's folder."""
        return self.folder / "runs/depth"

    @property
    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def codes(self):
        """With which codes srun has ended so far."""
        path = self.folder / "codes"
        return [int(code) for code in path.read_text().split()] if path.exists() else []

    def until(self, condition, seconds=300):
        """Waits for something."""
        for _ in range(seconds * 5):
            if found := condition():
                return found
            time.sleep(0.2)
        pytest.fail(f"it takes too long: {self.ask('squeue')}\n{self.codes}\n{self.log}")

    def task(self, number):
        """The id of a task's process; None where there is none."""
        has = f"SLURM_JOB_ID={self.job}\0", f"SLURM_PROCID={number}\0"
        for pid, words, inside in running.processes():
            if b"experiments.run" in words and all(text.encode() in inside for text in has):
                return pid
        return None

    def end(self):
        """Takes the job away, whatever has become of it."""
        subprocess.run(["scancel", self.job], env=self._environment, check=False)


def saved(trained):
    """The whole checkpoints of a run, which have the number of their step as name."""
    return [path for path in trained.rglob("checkpoints/*") if path.name.isdigit()]


@pytest.fixture
def script(slurm, tmp_path):
    found = Script(tmp_path, slurm)
    yield found
    found.end()


def test_two_tasks_of_srun_train_one_run_and_go_on_where_one_is_killed(script):
    """The tasks find each other from Slurm's variables; one is killed, and all is queued again."""
    trained = script.run / "training"
    script.until(lambda: script.codes or saved(trained))
    assert script.codes == [], script.log
    lost = script.until(lambda: script.task(1))
    os.kill(lost, signal.SIGKILL)
    killed = time.monotonic()
    script.until(lambda: script.codes)
    assert time.monotonic() - killed < 60.0
    assert script.codes == [137], script.log  # of the task that was killed, above the other's 75
    assert "process 1 on" in script.log and "the same commands go on" in script.log
    script.until(lambda: len(script.codes) == 2)
    assert script.codes == [137, 0], script.log
    assert "going on from step" in script.log
    environment = json.loads((script.run / "env.json").read_text())
    assert environment["device"]["processes"] == 2, environment
    summaries = list(script.folder.rglob("summary.json"))
    assert summaries == [script.run / "summary.json"]
