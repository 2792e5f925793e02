"""Checkpoints that are complete, proven unharmed, or set aside."""

import contextlib
import gc
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from elsa.base import checks, files
from elsa.training import forks, quiet, stored
from elsa.training.damage import (
    CorruptCheckpointError,
    UnfitCheckpointError,
    UnreadableCheckpointError,
    failures_are_write_errors,
    lost_reads_are_silent,
)
from elsa.training.errors import TrainingError
from elsa.training.stored import Restored

_LISTINGS = 100  # of a folder whose checkpoints another process replaces while one is read


class Checkpoints:
    """The checkpoints of one run: the newest `keep` stay, and the one of the lowest loss.

    Arrays are written by orbax in the background, with a SHA-256 of each and of the notes, because
    a flipped bit does not show otherwise. A checkpoint appears under its step only when it is
    whole.

    Args:
      folder: where they are; made if need be.
      keep: how many of the newest stay.
      read_only: for analysis: nothing is written, moved or deleted.

    Raises:
      TrainingError: in a fork of a process that has read or written checkpoints.
    """

    def __init__(self, folder: Path, *, keep: int = 3, read_only: bool = False):
        forks.refuse()
        self.folder, self._read_only = Path(os.path.abspath(folder)), read_only
        self._kept = _NewestAndBest(keep)
        self._manager: ocp.CheckpointManager | None = None
        self._silence = contextlib.ExitStack()  # from the first save on

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self, step: int, state: Any, notes: Mapping[str, Any]) -> None:
        """Starts to write a checkpoint; returns once the arrays are copied.

        Args:
          step: steps trained so far.
          state: the tree of arrays.
          notes: plain values; "loss", a number or None, tells which checkpoint is the best.

        Raises:
          files.WriteError: for this checkpoint or the one before, where the disk or a permission
            forbids it; earlier checkpoints stay.
          files.ReplacedError: where another process has the folder, or wrote this checkpoint.
        """
        files.guarded(self.folder)
        if (self.folder / str(step)).exists():  # a process that has lost the folder was at work yet
            raise files.ReplacedError(
                f"{self.folder / str(step)} was written by another process, and this one writes "
                "nothing more; run it again, it goes on from there if that is whole"
            )
        arguments = stored.parts(step, state, notes)
        with self._writing(self.folder / str(step)):
            manager = self._open()
            self._kept.losses[step] = stored.loss_of(notes)
            manager.save(step, args=arguments, force=True)

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
          files.WriteError: where the disk or a permission forbade it.
        """
        if self._manager is None:
            return
        with self._writing(self.folder):
            self._manager.wait_until_finished()

    def restore(
        self,
        like: Any,
        at: int | str = "newest",
        *,
        fits: Callable[[Mapping[str, Any]], None] = lambda notes: None,
    ) -> Restored | None:
        """A checkpoint whose arrays are those that were saved; None where there is none.

        A newer one that is truncated, emptied or altered is moved to `<step>.corrupt`, because
        orbax would skip all later saves up to its step; a warning names both. It is called altered
        only where an earlier one can be read, which shows that the reading works.

        Args:
          like: the arrays to find, as `stored.read` takes them.
          at: "newest"; "best", the one of the lowest loss; or a step. Where the newest or the best
            is harmed, the next one is taken.
          fits: refuses the notes of a checkpoint that does not belong here, by a
            CorruptCheckpointError; another one may. One that does not go with metrics.jsonl is
            moved to `<step>.unfit`.

        Raises:
          ForeignCheckpointError: where a whole checkpoint holds other arrays than `like`.
          UnreadableCheckpointError: where one cannot be read for another reason than its content,
            or none can be read; nothing is changed.
          TrainingError: where none goes with metrics.jsonl; nothing is changed.
          FileNotFoundError: for a step that has no whole checkpoint, with those that are kept.
          ValueError, TypeError: for `at` of another kind.
        """
        for _ in range(_LISTINGS):
            listed = self.steps()
            found, bad = self._first_whole(self._order(at), like, fits)
            if not bad or self.steps() == listed:
                break
            # the run that is going on has replaced what was being read
        if found is None and bad:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in bad)
            if not isinstance(at, str):
                raise self._missing(at, f" that is whole ({bad[0][1]})")
            for _, reason in bad:
                if isinstance(reason, UnfitCheckpointError):
                    raise TrainingError(reason.refusal)
            raise UnreadableCheckpointError(
                f"no checkpoint in {self.folder} can be read ({reasons}); nothing was changed. "
                "Restore a copy, or train in another workdir"
            )
        if found is not None:
            for step, reason in bad:
                self._set_aside(step, reason, found)
        return found

    def _first_whole(
        self, order: Sequence[int], like: Any, fits: Callable[[Mapping[str, Any]], None]
    ) -> tuple[Restored | None, list[tuple[int, CorruptCheckpointError]]]:
        """The first checkpoint that is what was saved, and what is wrong with those before it."""
        bad: list[tuple[int, CorruptCheckpointError]] = []
        found = None
        with lost_reads_are_silent():
            for step in order:
                try:
                    read = stored.read(self.folder / str(step), like)
                    fits(read.notes)
                    found = read
                    break
                except CorruptCheckpointError as error:
                    bad.append((step, error))
            if bad:
                gc.collect()  # tasks that nobody awaits complain when they are collected
            if bad and found is None:
                time.sleep(0.2)  # no further reading gives the threads the time to fail
        return found, bad

    def steps(self) -> list[int]:
        """Steps of all checkpoints in the folder, whole or not, in order.

        Raises:
          UnreadableCheckpointError: where the folder cannot be read, or a number in it is not
            written as a run writes it, so that no run would find that checkpoint.
        """
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableCheckpointError(
                f"cannot read {self.folder}: {error.strerror or error}; nothing was changed. Try "
                "again once that is mended, or give another workdir"
            ) from error
        numbers = [name for name in names if name.isdecimal()]
        for name in sorted(numbers):
            if name != str(int(name)):
                raise UnreadableCheckpointError(
                    f"{self.folder / name} is no name of a checkpoint: that of step {int(name)} is "
                    f"{str(int(name))!r}; nothing was changed. Give it its name again, or move it "
                    "away"
                )
        return sorted(map(int, numbers))

    def _order(self, at: int | str) -> Sequence[int]:
        """The steps to look at, the one asked for first."""
        newest = self.steps()[::-1]
        if isinstance(at, str):
            checks.one_of("load", "at", at, ("newest", "best"))
            if at == "newest":
                return newest
            losses = {step: self._loss_at(step) for step in newest}
            return sorted(newest, key=lambda step: (losses[step], -step))
        checks.integer("load", at=(at, 0))
        if at not in newest:
            raise self._missing(at, "")
        return [at]

    def _missing(self, step: int, more: str) -> FileNotFoundError:
        kept = ", ".join(str(other) for other in self.steps()) or "none"
        return FileNotFoundError(
            f"load: {self.folder} holds no checkpoint of step {step}{more}; kept are {kept}"
        )

    def close(self) -> None:
        """Waits for what is being written, and lets go of the folder.

        Raises:
          files.WriteError: where the disk or a permission forbade the writing.
        """
        manager, self._manager = self._manager, None
        with self._silence:
            if manager is not None:
                with self._writing(self.folder):
                    manager.close()

    @contextlib.contextmanager
    def _writing(self, place: Path) -> Iterator[None]:
        """A call of orbax's manager."""
        try:
            with failures_are_write_errors(place):
                yield
        except Exception:
            quiet.settle(self._silence)
            files.guarded(place)  # a successor clears what its predecessor had begun to write
            raise

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            files.make_folder(self.folder)
            self._kept.losses = {step: self._loss_at(step) for step in self.steps()}
            options = ocp.CheckpointManagerOptions(
                preservation_policy=self._kept,
                create=False,  # it is made
                multiprocessing_options=stored.by_this_process(),
                enable_async_checkpointing=True,
                cleanup_tmp_directories=True,
                # else the threads that write wait up to 20 minutes, and the process with them, for
                # a folder that could not be made
                async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            )
            self._silence.enter_context(quiet.orbax_is_silent())
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return self._manager

    def _loss_at(self, step: int) -> float:
        """Infinity where there is none, or it cannot be read."""
        try:
            return stored.loss_of(stored.beside(self.folder / str(step))["notes"])
        except CorruptCheckpointError:
            return math.inf

    def _set_aside(self, step: int, reason: CorruptCheckpointError, found: Restored) -> None:
        place, instead = self.folder / str(step), f"going on from step {found.step}"
        if self._read_only:
            warnings.warn(f"{place} is corrupt ({reason}); {instead}", stacklevel=3)
            return
        unfit = isinstance(reason, UnfitCheckpointError)
        files.guarded(place)
        aside = files.rename_free(place, f"{place}.{'unfit' if unfit else 'corrupt'}")
        what = "does not go with metrics.jsonl" if unfit else "is corrupt"
        warnings.warn(f"{place} {what} ({reason}) and is now {aside}; {instead}", stacklevel=3)


class _NewestAndBest:
    """The policy by which orbax keeps checkpoints: the newest, and the one of the lowest loss.

    Attributes:
      losses: by step, infinite where there is none.
    """

    def __init__(self, newest: int):
        self.losses: dict[int, float] = {}
        self._newest = newest

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        losses = {step: self.losses.get(step, math.inf) for step in steps}
        stay = set(steps[-self._newest :])
        if steps and min(losses.values()) < math.inf:
            stay.add(max(steps, key=lambda step: (-losses[step], step)))
        return [checkpoint.step in stay for checkpoint in checkpoints]
