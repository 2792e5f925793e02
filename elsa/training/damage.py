"""Errors of orbax and tensorstore for a full disk and for broken files, as errors of one type."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from elsa.base import files


class CorruptCheckpointError(Exception):
    """A checkpoint is not what was saved."""


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
def broken_files_are_corrupt() -> Iterator[None]:
    """Orbax and tensorstore raise errors of many kinds for broken files."""
    try:
        yield
    except Exception as error:
        raise CorruptCheckpointError(f"{type(error).__name__}: {_first_line(error)}") from error


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""
