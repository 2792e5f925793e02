"""Standard output and error of a program whose work must not end because nobody can read it."""

import contextlib
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

from elsa.base import plain

_LOST = 1  # the exit code where output could not be written
_CHOSEN = ("strict", "surrogateescape", "backslashreplace")  # what Python chooses by itself


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Lets a program go on where what it prints cannot be encoded, written or read.

    What the encoding does not have is shown by `plain` equivalents. A reader that has gone, as that
    of `| head -1`, and a stream that was closed from the start, as by `>&-`, are no errors. Where
    standard output cannot be written, on a full disk, say, one line on standard error says so, and
    the program ends with 1 where it would have ended with 0.

    It is to be entered once, by the program itself, before it opens any file.
    """
    _fill_closed()
    lost: list[OSError] = []

    def tell(error: OSError) -> None:
        if not lost:
            text = f"cannot write standard output: {error.strerror}; all else goes on"
            print(f"error: {text}", file=sys.stderr, flush=True)
        lost.append(error)

    before = sys.stdout, sys.stderr
    sys.stderr = _stream(sys.stderr, 2, lambda error: None)
    sys.stdout = _stream(sys.stdout, 1, tell)
    stopped = None
    try:
        yield
    except SystemExit as stop:
        stopped = stop
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # closed by the program
                stream.flush()
        sys.stdout, sys.stderr = before
    if lost and (stopped is None or not stopped.code):
        raise SystemExit(_LOST)
    if stopped is not None:
        raise stopped


def _fill_closed() -> None:
    """Opens /dev/null where the first three descriptors are closed.

    Else the next files opened got their numbers, and what a library prints would be in them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


def _stream(stream: Any, number: int, tell: Callable[[OSError], None]) -> Any:
    """A text stream on the same descriptor that never raises; others than a file's stay.

    A stream is whatever stands for `sys.stdout`: a file, an object of a notebook's, or None.
    """
    encoding, errors, by_line = "utf-8", plain.ERRORS, True
    if stream is not None:
        try:
            number = stream.fileno()
        except (OSError, ValueError):  # no file: a notebook, a test that captures
            return stream
        stream.flush()
        encoding, by_line = stream.encoding, bool(stream.line_buffering)
        if stream.errors not in _CHOSEN:
            errors = stream.errors or errors
    file = io.BufferedWriter(_Lenient(number, tell))
    return io.TextIOWrapper(file, encoding, errors, line_buffering=by_line)


class _Lenient(io.RawIOBase):
    """A descriptor that takes all that is written, whatever becomes of it."""

    def __init__(self, number: int, tell: Callable[[OSError], None]):
        self._number, self._tell, self._unread = number, tell, False

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self._unread:
            return len(data)
        while True:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # somebody has made the descriptor a non-blocking one
                select.select([], [self._number], [])
            except BrokenPipeError:
                self._unread = True
                return len(data)
            except OSError as error:
                self._tell(error)
                return len(data)
