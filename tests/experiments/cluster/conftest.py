"""A sweep in jobs on a cluster that is played, which runs them here."""

import dataclasses
import json

import pytest

from experiments.cluster import launch, part, watching
from experiments.cluster.asked import Asked
from experiments.cluster.places import RUNNING, WAITING, State
from experiments.harness import engine, sweep
from experiments.harness.experiment import RunError

COMMAND = "python -m experiments.run --sweep.shift=0,1 --jobs=2"
AXES = {"shift": "0.0,1.0,2.0", "repeats": "1,2"}


class Cluster:
    """Takes jobs, and runs each when it is looked at for a second time.

    Attributes:
      run: number of a job -> runs it, and what it raises is its own.
      looks: what it says first when it is looked at, in the place of states; errors are raised.
      submitted: the jobs that it was given.
      widest: how many it takes at once.
    """

    name, seconds = "local", 0.0

    def __init__(self):
        self.run, self.looks, self.submitted, self.widest = None, [], [], 99
        self._alive = {}

    def __call__(self, ledger):
        self.ledger = ledger
        return self

    def room(self, alive):
        return self.widest - alive

    def submit(self, jobs, words):
        for job in jobs:
            self.submitted.append(job)
            self._alive[job.number] = State(WAITING, "Resources")
            self.ledger.accepted(job, f"id-{job.number}", self.ledger.log)

    def states(self, jobs):
        if self.looks:
            error = self.looks.pop(0)
            if error is not None:
                raise error
        said = {}
        for job in jobs:
            state = self._alive.pop(job.number, None)
            if state == State(RUNNING):
                path = self.ledger.folder(job.number) / "exit.json"
                path.write_text(json.dumps({"code": self.run(job.number)}))
            elif state is not None:
                said[job.number], self._alive[job.number] = state, State(RUNNING)
        return said

    def cancel(self, jobs):
        return f"cancel {' '.join(str(job.number) for job in jobs)}"


@pytest.fixture
def plain(squares, monkeypatch):
    """The squares without figures, which take most of the time, and without a number to draw."""
    monkeypatch.setattr(engine, "environment", lambda config, command: {"command": command})
    return dataclasses.replace(squares.experiment, figures=lambda *all: {})


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(watching, "_SECONDS_TO_BE_TOLD", 0.0)
    found = Cluster()
    monkeypatch.setattr(launch, "Local", found)
    return found


@pytest.fixture
def run(plain, config, screen, tmp_path, cluster):
    """Sweeps the squares in jobs; options: `jobs`, `axes`, `experiment`."""
    config.sizes = (2,)

    def call(jobs=2, axes=AXES, experiment=None, **options):
        asked = sweep.ask(config, axes)
        about = (experiment or plain, config, asked, tmp_path / "sweep")

        def one(number):
            try:
                part.run(*about, number, screen=screen, command=COMMAND)
            except RunError as error:
                return error.exit_code
            return 0

        cluster.run = cluster.run or one
        return launch.run(
            *about,
            asked=Asked(jobs, "local", {}),
            words=["run"],
            screen=screen,
            command=COMMAND,
            **options,
        )

    return call
