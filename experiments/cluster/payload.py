"""What a job is: the ordinary command as a child, which gets the cluster's signals.

It is sent to the job as it stands here, and knows the standard library alone: what the job's Python
imports is the child's business.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

AGAIN = 75  # of `elsa.base.stopping.PREEMPTED`: saved, "run me again"
_TOLD = {  # what the child is told by
    signal.SIGUSR2: signal.SIGUSR1,  # the end of the time limit is near
    signal.SIGUSR1: signal.SIGUSR1,
    signal.SIGTERM: signal.SIGTERM,  # preempted, cancelled, out of time
}


class Command:
    """A command line to be run in a job.

    Attributes:
      words: the command.
      cwd: where it runs.
      environment: variables that it has otherwise than the job; None for those it has not.
      folder: of the job, where `told.json` is written at a signal, and `exit.json` at the end.
    """

    def __init__(
        self,
        words: Sequence[str],
        cwd: str,
        folder: str,
        environment: Mapping[str, str | None] | None = None,
    ):
        self.words, self.cwd, self.folder = list(words), cwd, Path(folder)
        self.environment = dict(environment or {})
        self._child: subprocess.Popen[bytes] | None = None
        self._came: list[int] = []

    def __call__(self) -> int:
        """Runs the command to its end.

        A command that ends with code 75 is put back into Slurm's queue, unless it was cancelled, or
        Slurm has done so itself.

        Returns:
          0.

        Raises:
          SystemExit: with any other code of the command.
        """
        lock = self._hold()
        for of_an_earlier_try in ("exit.json", "told.json"):
            with contextlib.suppress(OSError):
                (self.folder / of_an_earlier_try).unlink()
        for told in _TOLD:
            signal.signal(told, self._receive)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        environment = {**os.environ, **self.environment}
        kept = {name: value for name, value in environment.items() if value is not None}
        self._child = subprocess.Popen(self.words, cwd=self.cwd, env=kept, preexec_fn=_as_child)
        for number in list(self._came):
            self._child.send_signal(_TOLD[signal.Signals(number)])
        code = self._child.wait()
        print(f"the command ended with code {code}", flush=True)
        (self.folder / "exit.json").write_text(json.dumps({"code": code}) + "\n")
        if code == AGAIN and os.environ.get("SLURM_JOB_ID"):
            _requeue(out_of_time=signal.SIGUSR2 in self._came)
        os.close(lock)
        if code:
            sys.exit(code if code > 0 else 128 - code)
        return 0

    def _hold(self) -> int:
        """Locks the job's folder, which shows that the job runs, for as long as it does."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    def _receive(self, number: int, frame: FrameType | None) -> None:
        print(f"{signal.Signals(number).name} came", flush=True)
        self._came.append(number)
        with contextlib.suppress(OSError):
            (self.folder / "told.json").write_text(json.dumps({"signal": number}) + "\n")
        if self._child is not None:
            self._child.send_signal(_TOLD[signal.Signals(number)])


def _requeue(*, out_of_time: bool) -> None:
    """Puts this job back into Slurm's queue, unless it is leaving for another reason.

    A job that is cancelled, or that Slurm puts back itself, runs no longer as Slurm sees it. One
    that has to leave by the end of a time of grace, or has stopped by itself, does; and so one that
    was told that its time is nearly up does or has come to its limit.
    """
    task = [os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK")]
    job = "_".join(task) if all(task) else os.environ["SLURM_JOB_ID"]  # 7 would be all of array 7
    try:
        state = _said(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"])
        if state.strip() != "RUNNING" and not out_of_time:
            print(f"{state.strip()}: left to Slurm", flush=True)
            return
        _said(["scontrol", "requeue", job])
        print("put back into the queue", flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or error
        print(f"not put back into the queue: {said}", flush=True)


def _said(words: Sequence[str]) -> str:
    ran = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    return ran.stdout


def _as_child() -> None:
    """Has the child told by its parent alone, and told to stop where that is killed, on Linux.

    Slurm sends SIGUSR2 to every process of a job, and one that does not know it would end.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))  # PR_SET_PDEATHSIG
