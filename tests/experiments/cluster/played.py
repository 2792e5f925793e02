"""A cluster that is played, which runs jobs here."""

import json

from experiments.cluster.places import RUNNING, WAITING, State


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
