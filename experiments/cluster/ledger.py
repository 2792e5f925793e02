"""What is known of the jobs of a sweep, in `jobs/` of its folder.

A job has a folder `jobs/NUMBER`: `job.json` says which groups it runs and how the cluster calls it,
`id.json` under which number it was accepted. The job itself writes `ended.jsonl`, a line for each
group that came to its end, `told.json` when a signal asks it to stop, and `exit.json` when its last
try has ended. `jobs/log` has what jobs print.
"""

import dataclasses
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from elsa.base import files, strict_json

JOBS, LOG = "jobs", "log"
_JOB, _ID, _ENDED, _EXIT = "job.json", "id.json", "ended.jsonl", "exit.json"
_TOLD = "told.json"


@dataclasses.dataclass(frozen=True)
class Job:
    """A job as it was planned.

    Attributes:
      number: of its folder.
      cluster: which one has it, "slurm" or "local".
      name: that all jobs of one submission have in the cluster's lists; no other submission has it.
      index: of the job in its submission.
      groups: names of what it runs, in order.
      host: from which it was submitted.
    """

    number: int
    cluster: str
    name: str
    index: int
    groups: tuple[str, ...]
    host: str


class Ended(NamedTuple):
    """A group that came to its end in a job: why it failed, if it did, and wall seconds."""

    failure: str
    seconds: float


class Ledger:
    """The jobs of one sweep.

    Attributes:
      path: `jobs/` of the sweep's folder.
    """

    def __init__(self, folder: Path):
        self.path = folder / JOBS

    @property
    def log(self) -> Path:
        """Where jobs print."""
        return self.path / LOG

    def folder(self, number: int) -> Path:
        """The folder of a job."""
        return self.path / f"{number:04d}"

    def jobs(self) -> list[Job]:
        """All jobs that were ever planned, in order; damaged ones left out."""
        if not self.path.is_dir():
            return []
        numbers = (int(path.name) for path in self.path.iterdir() if path.name.isdecimal())
        found = (self.job(number) for number in sorted(numbers))
        return [job for job in found if job is not None]

    def job(self, number: int) -> Job | None:
        """A job by its number; None where there is none that can be read."""
        there = _read(self.folder(number) / _JOB)
        try:
            return Job(**{**there, "number": number, "groups": tuple(there["groups"])})
        except (KeyError, TypeError):
            return None

    def plan(self, hands: Sequence[Sequence[str]], *, cluster: str, name: str) -> list[Job]:
        """Writes down jobs that are about to be submitted, so that a kill loses none.

        Args:
          hands: the groups of each.
          cluster: which one is to have them.
          name: of the submission.
        """
        first = max((job.number for job in self.jobs()), default=0) + 1
        planned = [
            Job(first + index, cluster, name, index, tuple(groups), socket.gethostname())
            for index, groups in enumerate(hands)
        ]
        for job in planned:
            files.make_folder(self.folder(job.number))
            about = {key: value for key, value in vars(job).items() if key != "number"}
            self._write(job, _JOB, about)
        return planned

    def drop(self, jobs: Sequence[Job]) -> None:
        """Forgets jobs that the cluster has refused."""
        for job in jobs:
            shutil.rmtree(self.folder(job.number), ignore_errors=True)

    def accepted(self, job: Job, number: str, log: Path) -> None:
        """Notes under which number the cluster has the job, and where it prints."""
        self._write(job, _ID, {"id": number, "log": str(log)})

    def id(self, job: Job) -> str:
        """Under which number the cluster has, or had, the job; "" where that is not known."""
        return str(_read(self.folder(job.number) / _ID).get("id", ""))

    def printed(self, job: Job) -> str:
        """The file in which a job prints."""
        return str(_read(self.folder(job.number) / _ID).get("log", self.log))

    def end(self, job: Job, group: str, failure: str, *, seconds: float) -> None:
        """Notes that a group came to its end, on the disk before this returns."""
        line = {"group": group, "failure": failure, "seconds": round(seconds, 6)}
        text = strict_json.dumps(line, where=_ENDED)
        files.append(self.folder(job.number) / _ENDED, f"{text}\n".encode())

    def ended(self, job: Job) -> dict[str, Ended]:
        """The groups of a job that came to their end; of several tries the last says how."""
        try:
            lines = (self.folder(job.number) / _ENDED).read_bytes().splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            try:
                there = strict_json.loads_object(line)
                found[there["group"]] = Ended(there["failure"], there["seconds"])
            except (ValueError, KeyError):
                continue  # cut off by a kill: that group is asked for again
        return found

    def is_told(self, job: Job) -> bool:
        """Whether a signal has asked the job's last try to stop."""
        return (self.folder(job.number) / _TOLD).exists()

    def exit_code(self, job: Job) -> int | None:
        """With which code the job's last try ended; None where it could not say."""
        code = _read(self.folder(job.number) / _EXIT).get("code")
        return code if type(code) is int else None

    def _write(self, job: Job, name: str, value: dict[str, Any]) -> None:
        text = strict_json.dumps(value, where=name)
        files.replace(self.folder(job.number) / name, f"{text}\n".encode())


def _read(path: Path) -> dict[str, Any]:
    """What a file says; nothing where it is missing or damaged."""
    try:
        return strict_json.loads_object(path.read_bytes())
    except (OSError, ValueError):
        return {}
