"""The flags by which several processes share one run, and what the entry does about them."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from elsa.base.job import Job, JobError, asked
from experiments.harness.experiment import FAILED, Experiment, RunError

if TYPE_CHECKING:
    from elsa.base.together import Together

_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT where process 0 of several that share a run waits for the others; the tasks of one "
    "srun need no flag.",
)
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "How many processes share the run; 1 for a run of its own within srun."
)
_PROCESS = flags.DEFINE_integer("process", None, "Which of --processes this one is, from 0.")


def job_of(experiment: Experiment, config: ConfigDict) -> Job | None:
    """The job that the flags ask for, or else Slurm; None for a process of its own.

    Raises:
      RunError: for flags that make none, and for an experiment that trains nothing, as only
        training is shared.
    """
    try:
        job = asked(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value, os.environ)
    except JobError as error:
        raise RunError(str(error)) from error
    if job is not None and experiment.follows is None:
        raise RunError(
            f"{job.processes} processes share an experiment's training, and {config.experiment} "
            "trains nothing: start one, or give each --processes=1 and a --workdir of its own"
        )
    return job


def words() -> list[str]:
    """The flags, to be given again."""
    given = {"coordinator": _COORDINATOR, "processes": _PROCESSES, "process": _PROCESS}
    return [f"--{name}={flag.value}" for name, flag in given.items() if flag.value is not None]


def join(job: Job | None, alike: Mapping[str, Any]) -> None:
    """Waits for the other processes of a job.

    Args:
      job: None for a process of its own.
      alike: what all of them must have been given alike.

    Raises:
      RunError: where not all come, or one was given something else.
    """
    if job is None:
        return
    from elsa.base import together  # only now: it imports jax

    try:
        together.join(job, alike)
    except JobError as error:
        raise RunError(str(error), exit_code=FAILED) from error


def follow(experiment: Experiment) -> int:
    """Computes what process 0 says, and returns the exit code that it says."""
    assert experiment.follows is not None  # as `job_of` has seen
    return experiment.follows()


def code_of(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """The exit code of `run(argv)`; one of several processes says an error itself, and has one."""
    try:
        return run(argv)
    except Exception:
        if _here() is None:
            raise
        sys.excepthook(*sys.exc_info())
        return FAILED


def leave(code: int) -> None:
    """Ends a process that shares a run, and with process 0 all others; else does nothing."""
    if here := _here():
        here.leave(code)


def _here() -> "Together | None":
    if "elsa.base.together" not in sys.modules:
        return None
    from elsa.base import together

    return together.current()
