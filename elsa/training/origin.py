"""Where a branch says which run it comes from."""

from pathlib import Path
from typing import NamedTuple

from elsa.base import sealed_json
from elsa.training.checkpoint import Checkpoints
from elsa.training.errors import TrainingError
from elsa.training.trained import CHECKPOINTS

ORIGIN = "origin.json"


class Origin(NamedTuple):
    """What a branch's origin.json holds.

    folder: of the run it comes from.
    run: which of that folder's runs; None where it holds one.
    at: the checkpoint that was requested.
    step: of the checkpoint it started from.
    """

    folder: str
    run: str | None
    at: int | str
    step: int


def read(folder: Path) -> Origin | None:
    """The origin of the run in a folder; None where it is not a branch.

    Raises:
      TrainingError: for an origin.json that cannot be read.
    """
    path = folder / ORIGIN
    try:
        return Origin(**sealed_json.read(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, OSError) as error:
        raise TrainingError(
            f"cannot read {path}: {error}. Put it back, or give another workdir"
        ) from error


def write(folder: Path, origin: Origin) -> None:
    """Replaces the folder's origin.json.

    Raises:
      files.WriteError: where the disk or a permission forbids it.
    """
    sealed_json.write(folder / ORIGIN, origin._asdict())


def has_checkpoint(folder: Path) -> bool:
    """Whether a run in the folder has something to go on from, whole or not."""
    return bool(Checkpoints(folder / CHECKPOINTS, read_only=True).steps())


def refuse_unbegun(folder: Path) -> None:
    """Refuses to draw fresh models where a branch lacks the checkpoint that it starts from.

    Raises:
      TrainingError: naming where it comes from.
    """
    origin = read(folder)
    if origin is not None:
        raise TrainingError(
            f"{folder} holds a branch of {origin.folder} at step {origin.step:,} without a whole "
            "checkpoint; call training.branch again, or give another workdir"
        )
