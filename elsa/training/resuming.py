"""What must agree before a run goes on from a checkpoint: metrics, config, and where it runs."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elsa.base import environment, files, strict_json
from elsa.base.settings import for_results
from elsa.training.damage import CorruptCheckpointError, UnfitCheckpointError
from elsa.training.errors import TrainingError
from elsa.training.settings import RunSettings
from elsa.training.trained import METRICS
from elsa.training.writers import written_of

ENV = "env.json"  # for readers; what a run goes by is in its checkpoints
SAME, ACCEPT = "same", "accept"  # what `environment` of `fit` may be


class Fitting:
    """Whether a whole checkpoint belongs to a folder, asked once it is known to be whole.

    Args:
      folder: of the run.
      settings: of the run.
    """

    def __init__(self, folder: Path, settings: RunSettings):
        self._path, self._settings = folder / METRICS, settings
        self._passed_over = False

    def __call__(self, notes: Mapping[str, Any]) -> None:
        """Refuses one of another config, and one whose metrics the folder has no longer.

        An older one may fit: what came after it is computed again. One from before the first line
        fits any file, which says nothing; it is not gone back to.

        Raises:
          CorruptCheckpointError: UnfitCheckpointError among them.
          TrainingError: where the metrics cannot be read.
        """
        refuse_other_config(notes, self._settings)
        wanted = written_of(notes)
        reason = wanted.differs(self._path)
        if not reason and self._passed_over and not wanted.position:
            reason = "it stands before the first line"
        if reason:
            self._passed_over = True
            raise UnfitCheckpointError(
                reason, f"{self._path} {reason}. Put the file back, or start anew in another folder"
            )


def refuse_other_config(notes: Mapping[str, Any], settings: RunSettings) -> None:
    """Refuses a checkpoint that was written for another config.

    The number of steps may differ, as a run may go on to more, and so may what changes no result.
    Earlier versions wrote no config.

    Raises:
      CorruptCheckpointError: naming the first difference.
    """
    there = notes.get("config")
    if there is None:
        return
    difference = strict_json.first_difference(_bound(there), _bound(plain_config(settings)))
    if difference:
        key, before, now = difference
        raise CorruptCheckpointError(
            f"it is of another config than config.json: {key} is {before} there, {now} here"
        )


def plain_config(settings: RunSettings) -> Any:
    """The settings as config.json has them."""
    return strict_json.loads(strict_json.dumps(settings.to_dict(), where="config"))


def with_defaults(config: Any) -> Any:
    """A config as this version would write it: older ones have written fewer settings."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return plain_config(RunSettings.from_config(config))
    return config


def _bound(config: Any) -> Any:
    """What a checkpoint's config and the folder's must have in common."""
    kept = for_results(with_defaults(config))
    if isinstance(kept, dict) and isinstance(kept.get("train"), dict):
        kept["train"].pop("num_steps", None)
    return kept


class Places:
    """The environments that a run was computed in, each with the step from which on.

    Args:
      folder: of the run.
      there: as the checkpoint's notes hold them; none of an earlier version's.
      step: trained so far.
    """

    def __init__(self, folder: Path, there: Any, step: int):
        self._folder, self._here = folder, environment.environment()
        self._before = list(there or [])
        self._step = step

    @property
    def all(self) -> list[dict[str, Any]]:
        """What the next checkpoint holds."""
        last = self._before[-1] if self._before else {}
        here = {"from_step": self._step, **self._here}
        alike = {**last, "from_step": 0} == {**here, "from_step": 0}
        return self._before if alike else [*self._before, here]

    def refuse(self, *, accept: bool) -> str:
        """Refuses to go on where the bits would not be those of an unbroken run.

        Returns:
          A line about what differs and is accepted, or changes no bits; "" for nothing.

        Raises:
          TrainingError: naming what was, what is, and the ways out.
        """
        if not self._before:
            return ""
        changes = environment.changes_results(self._before[-1], self._here)
        if changes and not accept:
            raise TrainingError(
                f"{self._folder} holds a run of another environment: {changes}, so that it would "
                f"not end with the bits that it began with. To have these, {changes.way_back}; to "
                "go on in this environment from here, give environment='accept' (on the command "
                "line --environment=accept), which is written down; or give another workdir"
            )
        found = changes or environment.beside_results(self._before[-1], self._here)
        return f"the steps before were computed elsewhere: {found}" if found else ""

    def write(self) -> None:
        """Replaces env.json, which nothing reads but people.

        Raises:
          files.WriteError: where the disk or a permission forbids it.
        """
        text = strict_json.dumps({"environments": self.all}, where=ENV, indent=2)
        files.replace(self._folder / ENV, f"{text}\n".encode())
