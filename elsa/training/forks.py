"""Forks of a process that has read or written checkpoints can do neither: tensorstore ends them."""

import os

from elsa.training.errors import TrainingError

_USERS: set[int] = set()  # the process whose threads read and write; its forks inherit the entry


def refuse() -> None:
    """Refuses a fork, which would be ended without an error.

    Raises:
      TrainingError: naming both processes and the way out.
    """
    if _USERS and os.getpid() not in _USERS:
        raise TrainingError(
            f"process {os.getpid()} is a fork of {next(iter(_USERS))}, which has read or written "
            "checkpoints by threads that no fork has. Start processes by "
            "multiprocessing.get_context('spawn'), or as commands of their own"
        )


def use() -> None:
    """Notes that this process reads or writes arrays.

    Raises:
      TrainingError: as `refuse`.
    """
    refuse()
    _USERS.add(os.getpid())
