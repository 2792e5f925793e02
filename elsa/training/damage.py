"""Errors of orbax and tensorstore for a full disk and for broken files, as errors of one type."""

import contextlib
import errno
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from elsa.base import files
from elsa.training.errors import TrainingError


class CorruptCheckpointError(Exception):
    """A checkpoint is not what was saved."""


class UnfitCheckpointError(CorruptCheckpointError):
    """A whole checkpoint that does not go with the folder's metrics.jsonl.

    refusal: what to say where no other one does.
    """

    def __init__(self, reason: str, refusal: str):
        super().__init__(reason)
        self.refusal = refusal


class UnreadableCheckpointError(TrainingError):
    """A checkpoint cannot be read here and now, which says nothing about its content."""


@contextlib.contextmanager
def failures_are_write_errors(place: Path) -> Iterator[None]:
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
def broken_files_are_corrupt(place: Path) -> Iterator[None]:
    """Tells damage from a failure to read, both of which orbax and tensorstore raise as many kinds.

    A permission, a stale handle of a network disk, too little memory or a missing module say
    nothing about the content: another attempt may read it.

    Args:
      place: the folder that is read.

    Raises:
      UnreadableCheckpointError: for a failure to read.
      CorruptCheckpointError: for a missing or short file, or a content of no sense.
    """
    try:
        yield
    except Exception as error:
        reason = _failure_to_read(error) or _unreadable_file(place)
        if reason:
            raise UnreadableCheckpointError(
                f"cannot read checkpoint {place}: {reason}; nothing was changed. Try again once "
                "that is mended, or give another workdir"
            ) from error
        raise CorruptCheckpointError(f"{type(error).__name__}: {_first_line(error)}") from error


def _failure_to_read(error: BaseException | None) -> str | None:
    """What kept the files from being read, in the chain of an error's causes."""
    while error is not None:
        number = re.search(r"os_error_code='(\d+)'", str(error))
        if number and int(number[1]) not in (errno.ENOENT, errno.ENOTDIR):
            return os.strerror(int(number[1]))
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        if isinstance(error, MemoryError | ImportError) or (
            isinstance(error, OSError) and not missing
        ):
            return f"{type(error).__name__}: {_first_line(error)}"
        error = error.__cause__ or error.__context__
    return None


def _unreadable_file(place: Path) -> str | None:
    """Why a file or folder below `place` cannot be read to its end; tensorstore does not always say
    it, and orbax takes a folder that it must not read for none."""

    def fails(error: OSError) -> None:
        raise error

    try:
        for folder, _, names in os.walk(place, onerror=fails):
            for name in sorted(names):
                with Path(folder, name).open("rb") as file:
                    while file.read(1 << 24):
                        pass
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{error.filename or place}: {error.strerror or error}"
    return None


@contextlib.contextmanager
def lost_reads_are_silent() -> Iterator[None]:
    """Silences messages of orbax on failed reads, which would bury the warning in tracebacks.

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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""
