"""What a place for jobs can do, as the command that watches them sees it."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import cloudpickle

from experiments.cluster import payload
from experiments.cluster.ledger import Job, Ledger

LOCAL = "local"  # the place whose jobs a signal to a process group of the command reaches, too
WAITING, RUNNING = "waiting", "running"


class State(NamedTuple):
    """Whether a job waits or runs, and what it waits for, in the cluster's words."""

    state: str
    reason: str = ""


class NoAnswerError(Exception):
    """The cluster does not say how its jobs are; they may be well all the same."""


class Cluster(Protocol):
    """What a place for jobs can do.

    name: as `Job.cluster` has it.
    seconds: between two looks at it.
    """

    name: str
    seconds: float

    def room(self, alive: int) -> int:
        """How many jobs can be submitted while so many are alive."""

    def submit(self, jobs: Sequence[Job], words: Sequence[str]) -> None:
        """Submits jobs; words: of the command that each runs, but for its number."""

    def states(self, jobs: Sequence[Job]) -> Mapping[int, State]:
        """The state of each job that waits or runs, by its number; others are gone."""

    def cancel(self, jobs: Sequence[Job]) -> str:
        """The command that cancels jobs."""


def command(
    ledger: Ledger, job: Job, words: Sequence[str], seen: Mapping[str, str | None] | None = None
) -> payload.Command:
    """What a job runs.

    Args:
      ledger: where the job stands.
      job: which it is.
      words: the command, but for the job's number.
      seen: variables that the command has otherwise than the job.
    """
    folder = ledger.folder(job.number).absolute()
    return payload.Command([*words, f"--job={job.number}"], os.getcwd(), str(folder), seen)


@contextlib.contextmanager
def by_value() -> Iterator[None]:
    """Sends what a job is to it as it stands here, so that it need not find our modules."""
    cloudpickle.register_pickle_by_value(payload)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(payload)
