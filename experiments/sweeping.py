"""Which way a sweep runs: here, in jobs, or that part of it which is a job's."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from elsa.base import stopping
from experiments.cluster.asked import Asked
from experiments.harness.experiment import Experiment
from experiments.harness.sweep import Sweep


def run(
    about: tuple[Experiment, ConfigDict, Sweep, Path],
    options: Mapping[str, Any],
    on_devices: Callable[[], AbstractContextManager[None]],
    *,
    asked: Asked | None,
    job: int | None,
    words: Sequence[str],
) -> None:
    """Runs a sweep.

    Args:
      about: experiment, base config, points and folder.
      options: of `groups.run`.
      on_devices: where is computed what this process computes.
      asked: jobs, which are submitted and followed.
      job: number of the one that this process is.
      words: the command that a job runs, but for its number; a limit of time is the watching's.
    """
    named = dict(options)
    if asked is not None:
        from experiments.cluster import launch

        stopping.begins()
        del named["accept"]  # the jobs' own business
        own = [word for word in words if not word.startswith("--max_seconds=")]
        launch.run(*about, asked=asked, words=own, **named)
        return
    from experiments.harness import groups  # only now: it imports jax

    with on_devices():
        if job is None:
            groups.run(*about, **named)
            return
        from experiments.cluster import part

        del named["overwrite"]
        part.run(*about, job, **named)
