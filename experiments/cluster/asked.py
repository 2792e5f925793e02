"""What was asked of a cluster: how many jobs, where, and with which options of sbatch."""

import dataclasses
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.cluster import limits
from experiments.harness.command_line import module_of
from experiments.harness.experiment import RunError

CLUSTERS = ("slurm", "local")
_WORD = re.compile(r"--?slurm\.(?P<key>[^=]*)(?:=(?P<value>.*))?", re.DOTALL)
_KEY = re.compile(r"[a-z][a-z0-9_-]*")
_OURS = {  # options of sbatch that the sweep gives itself -> what to do instead
    "array": "--jobs says how many there are",
    "job_name": "the sweep finds its jobs by their name",
    "output": "what jobs print stands in jobs/log of the sweep's folder",
    "error": "what jobs print stands in jobs/log of the sweep's folder",
    "open_mode": "a job that runs again adds to its log",
    "nodes": "a job is one process",
    "ntasks": "a job is one process",
    "ntasks_per_node": "a job is one process",
    "wrap": "a job runs the sweep's own command",
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """A sweep as jobs.

    Attributes:
      jobs: how many there are, where there are as many points.
      cluster: "slurm" or "local".
      options: of sbatch, by their long names with underscores; True for those without a value.
    """

    jobs: int
    cluster: str
    options: Mapping[str, Any]


def split(arguments: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """Takes `--slurm.KEY=VALUE` and `--slurm.KEY` out of a command line.

    Returns:
      Key -> the text of its value, None where there is none; and all other words.

    Raises:
      RunError: for what can be no option of sbatch, and one that is given twice.
    """
    given: dict[str, str | None] = {}
    others = []
    for word in arguments:
        match = _WORD.fullmatch(word)
        if match is None:
            others.append(word)
            continue
        key, value = match["key"], match["value"]
        if not _KEY.fullmatch(key) or value == "":
            raise RunError(f"{word}: expected --slurm.KEY=VALUE, with a long option of sbatch")
        key = key.replace("-", "_")
        if key in given:
            raise RunError(f"{word}: {key} is given twice. Nothing was run.")
        given[key] = value
    return given, others


def words(given: Mapping[str, str | None]) -> list[str]:
    """The words of a command line that `split` reads."""
    return [f"--slurm.{key}" + ("" if v is None else f"={v}") for key, v in given.items()]


def ask(
    spec: str, *, jobs: int | None, cluster: str | None, given: Mapping[str, str | None]
) -> Asked | None:
    """What the flags, and a config file's own `slurm()`, ask for; None for a sweep without jobs.

    Args:
      spec: of the config file; its `slurm()`, if it has one, returns options of sbatch, which
        those given on the command line replace.
      jobs: how many.
      cluster: where; Slurm by default, where there is sbatch.
      given: options of sbatch, from the command line.

    Raises:
      RunError: for flags that go without --jobs, options that are ours, limits that leave a job no
        time to work, and a `slurm()` that returns no mapping.
    """
    if jobs is None:
        alone = "--cluster" if cluster is not None else next(iter(words(given)), None)
        if alone is not None:
            raise RunError(f"{alone} goes with --jobs=N, as how many jobs a sweep runs")
        return None
    where = cluster or ("slurm" if shutil.which("sbatch") else "local")
    if where == "local" and given:
        raise RunError(
            f"{words(given)[0]}: the jobs are processes of this machine"
            f"{'' if cluster else ', which has no sbatch'}; leave it out, or take --cluster=slurm"
        )
    options = {**own(spec), **given} if where == "slurm" else {}
    read = {key: _option(key, value) for key, value in options.items()}
    limits.refuse(read)
    return Asked(jobs, where, read)


def own(spec: str) -> dict[str, Any]:
    """The options that a config file's `slurm()` returns; none where it has no such function."""
    function = getattr(module_of(spec), "slurm", None)
    if function is None:
        return {}
    options = function()
    path = spec.partition(":")[0]
    if not isinstance(options, Mapping):
        raise RunError(f"slurm() of {path} must return a mapping option -> value, got {options!r}")
    return {str(key).replace("-", "_"): value for key, value in options.items()}


def _option(key: str, value: Any) -> Any:
    if key in _OURS:
        raise RunError(f"--slurm.{key}: {_OURS[key]}; leave it out. Nothing was run.")
    if key == "signal":
        match = re.fullmatch(r"(?:USR2@)?(\d+)", str(value))
        if match is None:
            raise RunError(
                f"--slurm.signal={value}: a job is told of its end by USR2; give USR2@SECONDS, or "
                "the seconds alone. Nothing was run."
            )
        return int(match[1])
    return True if value is None else value
