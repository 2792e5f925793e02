"""Jobs as processes of this machine."""

import contextlib
import fcntl
import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import submitit

from elsa.base import cores, owner
from experiments.cluster.ledger import Job, Ledger
from experiments.cluster.places import LOCAL, RUNNING, State, by_value, command

_SECONDS_TO_START = 60.0  # until a process holds its job's folder
_FOREVER = 60 * 24 * 365  # minutes


class Local:
    """Jobs as processes of this machine, as many at once as it has cores for this process."""

    name, seconds = LOCAL, 1.0

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._started: dict[int, submitit.Job[int]] = {}
        self._cores = cores.own()

    def room(self, alive: int) -> int:
        """As many as there are cores without a job."""
        return max(0, self._cores - alive)

    def submit(self, jobs: Sequence[Job], words: Sequence[str]) -> None:
        """Starts jobs, which go on without this process."""
        # submitit hides all devices from its processes; the command shall see what this one does
        seen = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        executor = submitit.LocalExecutor(folder=self._ledger.log)
        executor.update_parameters(timeout_min=_FOREVER, stderr_to_stdout=True)
        for job in jobs:
            with by_value(), _deaf():
                its = executor.submit(command(self._ledger, job, words, seen))
            self._started[job.number] = its
            self._ledger.accepted(job, its.job_id, its.paths.stdout)

    def states(self, jobs: Sequence[Job]) -> Mapping[int, State]:
        """Of the jobs that were started, by this process or one before, and have not ended."""
        return {job.number: State(RUNNING) for job in jobs if self._is_alive(job)}

    def cancel(self, jobs: Sequence[Job]) -> str:
        """kill, by the processes' numbers."""
        return shlex.join(["kill", *(self._ledger.id(job) for job in jobs)])

    def _is_alive(self, job: Job) -> bool:
        started = self._started.get(job.number)
        if started is not None and not started.done():
            return True
        folder = self._ledger.folder(job.number)
        if not (self._ledger.id(job) and job.host == socket.gethostname()):
            return False
        if _is_held(folder):
            return True
        age = time.time() - folder.stat().st_mtime
        return started is None and age < _SECONDS_TO_START and owner.runs(int(self._ledger.id(job)))


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Lets processes be started that Ctrl-C and a lost terminal do not reach."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_held(folder: Path) -> bool:
    """Whether a process has locked the folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
