"""Checkpoints that are complete, proven unharmed, or set aside."""

import contextlib
import gc
import hashlib
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from elsa.base import files
from elsa.training.errors import TrainingError


class Restored(NamedTuple):
    """What a checkpoint held.

    step: steps trained so far.
    state: the tree of arrays, of the structure asked for.
    notes: the plain values saved beside it.
    """

    step: int
    state: Any
    notes: dict[str, Any]


class CorruptCheckpointError(Exception):
    """A checkpoint is not what was saved."""


class ForeignCheckpointError(TrainingError):
    """A whole checkpoint of another program."""


class Checkpoints:
    """The checkpoints of one run, newest last; at most `keep` stay.

    Arrays are written by orbax in the background, with a SHA-256 of each and of the notes, because
    a flipped bit does not show otherwise. A checkpoint appears under its step only when it is
    whole.

    Args:
      folder: where they are; made if need be.
      keep: how many stay.
      read_only: for analysis: nothing is written, moved or deleted.
    """

    def __init__(self, folder: Path, *, keep: int = 3, read_only: bool = False):
        self.folder, self._read_only = Path(os.path.abspath(folder)), read_only
        self._keep = keep
        self._manager: ocp.CheckpointManager | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self, step: int, state: Any, notes: Mapping[str, Any]) -> None:
        """Starts to write a checkpoint; returns once the arrays are copied.

        Raises:
          files.WriteError: for this checkpoint or the one before, where the disk or a permission
            forbids it; earlier checkpoints stay.
        """
        arrays = _named(jax.device_get(state))
        kinds = {name: _kind(array) for name, array in arrays.items()}
        sums = {name: digest(array) for name, array in arrays.items()}
        text = json.dumps({"kinds": kinds, "checksums": sums, "notes": dict(notes)})
        with _failures_are_write_errors(self.folder / str(step)):
            self._open().save(
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
        with _failures_are_write_errors(self.folder):
            self._manager.wait_until_finished()

    def restore(self, like: Any) -> Restored | None:
        """The newest checkpoint whose arrays are those that were saved; None where there is none.

        A newer one that is truncated, emptied or altered is moved to `<step>.corrupt`, because
        orbax would skip all later saves up to its step; a warning names both.

        Args:
          like: a tree with the structure, shapes and dtypes of the state.

        Raises:
          ForeignCheckpointError: where a whole checkpoint holds other arrays than `like`.
        """
        bad: list[tuple[int, str]] = []
        found = None
        with _lost_reads_are_silent():
            for step in reversed(self.steps()):
                try:
                    found = self._read(step, like)
                    break
                except CorruptCheckpointError as error:
                    bad.append((step, str(error)))
            if bad:
                gc.collect()  # tasks that nobody awaits complain when they are collected
            if bad and found is None:
                time.sleep(0.2)  # no further reading gives the threads the time to fail
        for step, reason in bad:
            self._set_aside(step, reason, found)
        return found

    def steps(self) -> list[int]:
        """Steps of all checkpoints in the folder, whole or not, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())

    def close(self) -> None:
        """Waits for what is being written, and lets go of the folder.

        Raises:
          files.WriteError: where the disk or a permission forbade the writing.
        """
        manager, self._manager = self._manager, None
        if manager is not None:
            with _failures_are_write_errors(self.folder):
                manager.close()

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            files.make_folder(self.folder)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=self._keep,
                enable_async_checkpointing=True,
                cleanup_tmp_directories=True,
            )
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return self._manager

    def _read(self, step: int, like: Any) -> Restored:
        """One checkpoint, its arrays compared with their checksums."""
        place = self.folder / str(step)
        wanted = _named(like)
        with _broken_files_are_corrupt(), ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            beside = reader.restore(place / "notes")
            intact = beside["checksum"] == digest(beside["text"])
        if not intact:
            raise CorruptCheckpointError("the checksum of the notes does not match")
        saved = json.loads(beside["text"])
        _refuse_foreign(place, saved["kinds"], {name: _kind(leaf) for name, leaf in wanted.items()})
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in wanted.items()
        }
        with _broken_files_are_corrupt(), ocp.StandardCheckpointer() as reader:
            kept = reader.restore(place / "state", abstract)
            arrays = {name: np.asarray(kept[name]) for name in wanted}
        for name, array in arrays.items():
            if digest(array) != saved["checksums"][name]:
                raise CorruptCheckpointError(f"the checksum of {name} does not match")
        leaves = [jax.numpy.asarray(arrays[name]) for name in wanted]
        state = jax.tree.unflatten(jax.tree.structure(like), leaves)
        return Restored(step, state, saved["notes"])

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


@contextlib.contextmanager
def _failures_are_write_errors(place: Path) -> Iterator[None]:
    """A full disk shows as an OSError, or as tensorstore's ValueError with the number in its text.

    What was being written in the background may fail in a later call.
    """
    try:
        yield
    except OSError as error:
        raise files.WriteError(place, error) from error
    except ValueError as error:
        number = re.search(r"os_error_code='(\d+)'", str(error))
        if number is None:
            raise
        known = OSError(int(number[1]), os.strerror(int(number[1])))
        raise files.WriteError(place, known) from error


@contextlib.contextmanager
def _broken_files_are_corrupt() -> Iterator[None]:
    """Orbax and tensorstore raise errors of many kinds for broken files."""
    try:
        yield
    except Exception as error:
        raise CorruptCheckpointError(f"{type(error).__name__}: {_first_line(error)}") from error


@contextlib.contextmanager
def _lost_reads_are_silent() -> Iterator[None]:
    """Keeps what orbax says of reads that it gave up from burying the warning under tracebacks.

    Where one array cannot be read, it closes its event loop while tensorstore still reads the
    others, in threads that then fail, and leaves tasks that nobody awaits.
    """
    before, logger = sys.unraisablehook, logging.getLogger("asyncio")

    def hook(found: "sys.UnraisableHookArgs") -> None:
        closed = isinstance(found.exc_value, RuntimeError) and "is closed" in str(found.exc_value)
        if not closed:
            before(found)

    def awaited(record: logging.LogRecord) -> bool:
        return "was never retrieved" not in record.getMessage()

    sys.unraisablehook = hook
    logger.addFilter(awaited)
    try:
        yield
    finally:
        sys.unraisablehook = before
        logger.removeFilter(awaited)


def _refuse_foreign(place: Path, there: dict[str, str], asked: dict[str, str]) -> None:
    for name in [*asked, *there]:
        before, now = there.get(name, "absent"), asked.get(name, "absent")
        if before != now:
            raise ForeignCheckpointError(
                f"checkpoint {place} holds other arrays than this model has: {name} is {before} "
                f"there, {now} here. It was written by another version of the program; give "
                "another folder"
            )


def _named(tree: Any) -> dict[str, Any]:
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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""
