"""Checkpoints that are complete, proven unharmed, or set aside."""

import gc
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from elsa.base import checks, files
from elsa.training.damage import (
    CorruptCheckpointError,
    broken_files_are_corrupt,
    failures_are_write_errors,
    lost_reads_are_silent,
)
from elsa.training.errors import TrainingError


class Restored(NamedTuple):
    """The contents of a checkpoint.

    step: steps trained so far.
    state: the tree of arrays, of the structure asked for.
    notes: the plain values saved beside it.
    """

    step: int
    state: Any
    notes: dict[str, Any]


class ForeignCheckpointError(TrainingError):
    """A whole checkpoint of another program."""


class Checkpoints:
    """The checkpoints of one run: the newest `keep` stay, and the one of the lowest loss.

    Arrays are written by orbax in the background, with a SHA-256 of each and of the notes, because
    a flipped bit does not show otherwise. A checkpoint appears under its step only when it is
    whole.

    Args:
      folder: where they are; made if need be.
      keep: how many of the newest stay.
      read_only: for analysis: nothing is written, moved or deleted.
    """

    def __init__(self, folder: Path, *, keep: int = 3, read_only: bool = False):
        self.folder, self._read_only = Path(os.path.abspath(folder)), read_only
        self._kept = _NewestAndBest(keep)
        self._manager: ocp.CheckpointManager | None = None

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
        """
        arrays = named(jax.device_get(state))
        kinds = {name: _kind(array) for name, array in arrays.items()}
        sums = {name: digest(array) for name, array in arrays.items()}
        text = json.dumps({"kinds": kinds, "checksums": sums, "notes": dict(notes)})
        with failures_are_write_errors(self.folder / str(step)):
            manager = self._open()
            self._kept.losses[step] = _loss(notes)
            manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    notes=ocp.args.JsonSave({"text": text, "checksum": digest(text)}),
                ),
                force=True,
            )

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
          files.WriteError: where the disk or a permission forbade it.
        """
        if self._manager is None:
            return
        with failures_are_write_errors(self.folder):
            self._manager.wait_until_finished()

    def restore(self, like: Any, at: int | str = "newest") -> Restored | None:
        """A checkpoint whose arrays are those that were saved; None where there is none.

        A newer one that is truncated, emptied or altered is moved to `<step>.corrupt`, because
        orbax would skip all later saves up to its step; a warning names both.

        Args:
          like: a tree with the structure, shapes and dtypes of the state.
          at: "newest"; "best", the one of the lowest loss; or a step. Where the newest or the best
            is harmed, the next one is taken.

        Raises:
          ForeignCheckpointError: where a whole checkpoint holds other arrays than `like`.
          FileNotFoundError: for a step that has no whole checkpoint, with those that are kept.
          ValueError, TypeError: for `at` of another kind.
        """
        bad: list[tuple[int, str]] = []
        found, order = None, self._order(at)
        with lost_reads_are_silent():
            for step in order:
                try:
                    found = self._read(step, like)
                    break
                except CorruptCheckpointError as error:
                    bad.append((step, str(error)))
            if bad:
                gc.collect()  # tasks that nobody awaits complain when they are collected
            if bad and found is None:
                time.sleep(0.2)  # no further reading gives the threads the time to fail
        if found is None and bad and not isinstance(at, str):
            raise self._missing(at, f" that is whole ({bad[0][1]})")
        for step, reason in bad:
            self._set_aside(step, reason, found)
        return found

    def steps(self) -> list[int]:
        """Steps of all checkpoints in the folder, whole or not, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())

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
        if manager is not None:
            with failures_are_write_errors(self.folder):
                manager.close()

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            files.make_folder(self.folder)
            self._kept.losses = {step: self._loss_at(step) for step in self.steps()}
            options = ocp.CheckpointManagerOptions(
                preservation_policy=self._kept,
                enable_async_checkpointing=True,
                cleanup_tmp_directories=True,
            )
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return self._manager

    def _read(self, step: int, like: Any) -> Restored:
        """One checkpoint, its arrays compared with their checksums."""
        place, wanted = self.folder / str(step), named(like)
        saved = self._beside(step)
        _refuse_foreign(place, saved["kinds"], {name: _kind(leaf) for name, leaf in wanted.items()})
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in wanted.items()
        }
        with broken_files_are_corrupt(), ocp.StandardCheckpointer() as reader:
            kept = reader.restore(place / "state", abstract)
            arrays = {name: np.asarray(kept[name]) for name in wanted}
        for name, array in arrays.items():
            if digest(array) != saved["checksums"][name]:
                raise CorruptCheckpointError(f"the checksum of {name} does not match")
        leaves = [jax.numpy.asarray(arrays[name]) for name in wanted]
        state = jax.tree.unflatten(jax.tree.structure(like), leaves)
        return Restored(step, state, saved["notes"])

    def _beside(self, step: int) -> dict[str, Any]:
        """Kinds and checksums of the arrays, and the notes."""
        place = self.folder / str(step) / "notes"
        with broken_files_are_corrupt(), ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            beside = reader.restore(place)
            intact = beside["checksum"] == digest(beside["text"])
        if not intact:
            raise CorruptCheckpointError("the checksum of the notes does not match")
        saved: dict[str, Any] = json.loads(beside["text"])
        return saved

    def _loss_at(self, step: int) -> float:
        """Infinity where there is none, or it cannot be read."""
        try:
            return _loss(self._beside(step)["notes"])
        except CorruptCheckpointError:
            return math.inf

    def _set_aside(self, step: int, reason: str, found: Restored | None) -> None:
        place = self.folder / str(step)
        instead = f"going on from step {found.step}" if found else "starting from the beginning"
        if self._read_only:
            warnings.warn(f"{place} is corrupt ({reason}); {instead}", stacklevel=3)
            return
        aside, number = place.with_name(f"{step}.corrupt"), 2
        while os.path.lexists(aside):
            aside, number = place.with_name(f"{step}.corrupt-{number}"), number + 1
        try:
            os.rename(place, aside)
        except OSError as error:
            raise files.WriteError(place, error, verb="move") from error
        warnings.warn(f"{place} is corrupt ({reason}) and is now {aside}; {instead}", stacklevel=3)


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


def _loss(notes: Mapping[str, Any]) -> float:
    """Notes of older versions have none."""
    loss = notes.get("loss")
    return math.inf if loss is None else float(loss)


def _refuse_foreign(place: Path, there: dict[str, str], asked: dict[str, str]) -> None:
    for name in [*asked, *there]:
        before, now = there.get(name, "absent"), asked.get(name, "absent")
        if before != now:
            raise ForeignCheckpointError(
                f"checkpoint {place} holds other arrays than this model has: {name} is {before} "
                f"there, {now} here. It was written by another version of the program; give "
                "another folder"
            )


def named(tree: Any) -> dict[str, Any]:
    """The leaves by their path in the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _kind(array: Any) -> str:
    """Dtype and shape."""
    return f"{np.dtype(array.dtype).name}{list(array.shape)}"


def digest(content: Any) -> str:
    """SHA-256 of a text, or of an array's bytes."""
    data = content.encode() if isinstance(content, str) else np.asarray(content).tobytes()
    return hashlib.sha256(data).hexdigest()
