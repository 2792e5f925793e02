"""Which processes compute one run together, as a command line or Slurm says it."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# What srun sets for each task of a step. A batch script has SLURM_NTASKS of its allocation, too,
# but starts one process, so that nothing is read of it.
_ID, _COUNT, _HOSTS, _STEP = (
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NODELIST",
    "SLURM_STEP_ID",
)
_JOB = "SLURM_JOB_ID"
_FIRST_PORT, _PORTS = 20_000, 10_000  # below those that a system gives to whoever asks for any


class JobError(ValueError):
    """Processes that cannot compute one run together, and why."""


class Job(NamedTuple):
    """One of several processes that compute one run together.

    host, port: where process 0 waits for the others.
    processes: how many there are.
    process: the number of this one, from 0.
    """

    host: str
    port: int
    processes: int
    process: int

    @property
    def leads(self) -> bool:
        """Whether this process runs the experiment, and the others compute with it."""
        return self.process == 0


def asked(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    environment: Mapping[str, str],
) -> Job | None:
    """The job that three flags ask for, or else Slurm; None for a process of its own.

    Slurm asks for one where `srun` has started more than one task.

    Args:
      coordinator: "HOST:PORT", where process 0 waits for the others.
      processes: how many there are; 1 for a process of its own, whatever Slurm says.
      process: the number of this one.
      environment: the variables of this process.

    Raises:
      JobError: for some of the flags without the others, or values that make no job.
    """
    flags = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    if processes == 1 and not process:
        return None
    missing = [name for name, value in flags.items() if value is None]
    if len(missing) == len(flags):
        return _of_slurm(environment)
    if missing:
        given = next(name for name, value in flags.items() if value is not None)
        raise JobError(
            f"{given} needs {' and '.join(missing)}: each of several processes is told where the "
            "first one waits, how many they are and which it is, as in "
            "--coordinator=HOST:PORT --processes=2 --process=0"
        )
    assert coordinator is not None and processes is not None and process is not None
    host, port = _address(coordinator)
    if processes < 1:
        raise JobError(f"--processes must be at least 1, got {processes}")
    if not 0 <= process < processes:
        raise JobError(
            f"--process must be 0 to {processes - 1} of --processes={processes}, got {process}"
        )
    return Job(host, port, processes, process)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise JobError(f"--coordinator must be HOST:PORT, as in node1:29400, got {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _of_slurm(environment: Mapping[str, str]) -> Job | None:
    """The tasks of a step that `srun` has started, if they are several."""
    names = (_ID, _COUNT, _HOSTS, _STEP, _JOB)
    if any(name not in environment for name in names):
        return None
    numbers = {name: environment[name] for name in (_ID, _COUNT, _JOB)}
    for name, value in numbers.items():
        if not value.isdecimal():
            raise JobError(f"{name} must be a number, got {value!r}; --processes=1 reads none")
    process, processes, job = map(int, numbers.values())
    if processes < 2:
        return None
    step = int(environment[_STEP]) if environment[_STEP].isdecimal() else 0
    port = _FIRST_PORT + (7 * job + step) % _PORTS  # steps of a job side by side have two
    return Job(_first_host(environment[_HOSTS]), port, processes, process)


def _first_host(hosts: str) -> str:
    """The first of Slurm's list of hosts: "n7", "n7,n9", "n[07-09,12]" or "rack[1-2]n[3-4]"."""
    first = re.split(r",(?![^\[]*\])", hosts)[0]
    host = re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)
    if not re.fullmatch(r"[\w.-]+", host):
        raise JobError(f"{_HOSTS} must be a list of hosts, got {hosts!r}; --processes=1 reads none")
    return host
