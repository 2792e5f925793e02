"""Signals that ask a process to stop: Ctrl-C, and those of a scheduler."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# What batch systems send: Slurm SIGTERM, twice, or what --signal asks for; a lost terminal SIGHUP.
_PREEMPTING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)
)


# Exit codes: of Ctrl-C, and of a scheduler's signal: sysexits' EX_TEMPFAIL, "run me again".
INTERRUPTED, PREEMPTED = 130, 75

_AGAIN = 0.05  # seconds until a signal that came too early is sent again
_LONGEST_IMPORT = 120.0


class Preempted(KeyboardInterrupt):
    """A signal other than Ctrl-C has ended the process; the same command goes on where it was."""


class StopRequest:
    """Whether a signal has asked to stop, and which.

    number: the signal's; None before one came.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._interrupts = 0

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def error(self, text: str) -> KeyboardInterrupt:
        """What to raise once everything is saved."""
        return KeyboardInterrupt(text) if self.number == signal.SIGINT else Preempted(text)

    def receive(self, number: int) -> None:
        """Notes a signal. A second Ctrl-C interrupts at once; a scheduler's second one does not.

        Raises:
          KeyboardInterrupt: for a second Ctrl-C.
        """
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            raise KeyboardInterrupt
        if self.number is None:
            self.number = number


@contextlib.contextmanager
def noted() -> Iterator[StopRequest]:
    """Lets what is running go on after a signal, and notes it.

    Outside the main thread, where Python gives no signals, none is ever noted.
    """
    request = StopRequest()
    with _handled((signal.SIGINT, *_PREEMPTING), lambda number, _: request.receive(number)):
        yield request


@contextlib.contextmanager
def preemption_raises(*, after: float | None = None) -> Iterator[None]:
    """Lets a scheduler's signal end the process as Ctrl-C does, with `Preempted`.

    One that comes while the process is on its way out already, as Slurm's second, is passed over,
    and so is one that comes when all is done. One that comes where nothing may be raised comes
    again: while a module is imported (libraries in C take an error then for one of their own, or
    crash), or while Python clears an object away, whose errors it drops.

    Args:
      after: the process is sent SIGUSR1 once so many seconds have passed; never where None.
    """
    timers = [] if after is None else [_send(signal.SIGUSR1, after)]
    imports_until: float | None = None
    preempting = signal.SIGTERM
    is_done = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal imports_until, preempting
        if is_done:
            return
        if _is_importing(frame):
            if _Early.until_begun:
                _end_early(number)
            imports_until = imports_until or time.monotonic() + _LONGEST_IMPORT
            if time.monotonic() < imports_until:
                timers.append(_send(number, _AGAIN))
                return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if not _is_on_its_way_out():
            preempting = signal.Signals(number)
            raise Preempted(f"{preempting.name} came")

    def dropped(error: KeyboardInterrupt) -> None:
        number = preempting if isinstance(error, Preempted) else signal.SIGINT
        timers.append(_send(number, _AGAIN))

    with _handled((signal.SIGINT, *_PREEMPTING), stop), _dropped_interrupts(dropped):
        try:
            yield
        finally:
            is_done = True
            for timer in timers:
                timer.cancel()
                timer.join()


def until_begun() -> None:
    """Ends the process at a signal, with the code of one that was stopped, until `begins`.

    A program that imports for seconds calls it first of all. Nothing has begun, so that it ends at
    once, wherever it is: to raise an error would do harm while libraries in C are imported.
    """
    _Early.until_begun = True
    for number in (signal.SIGINT, *_PREEMPTING):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _end_early(number))


def begins() -> None:
    """What follows may be lost: from now on a signal waits until an import is done."""
    _Early.until_begun = False


def ends_with(code: int) -> None:
    """Lets a signal end the process at once, with this code: it has nothing left to do but exit."""
    for number in (signal.SIGINT, *_PREEMPTING):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: end_at_once(code))


@contextlib.contextmanager
def exits_at_once(*codes: int) -> Iterator[None]:
    """Ends the process itself where the program exits with one of these codes, once all is said.

    A run that was stopped has threads of libraries in C which it stopped anywhere, and Python,
    while it takes itself apart, may crash on them: all was saved and said, and the exit code was
    that of the crash. What is registered with `atexit` is not called.
    """
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, int) or end.code not in codes:
            raise
        end_at_once(end.code)


class _Early:
    """Whether the process may end anywhere, as it has begun nothing."""

    until_begun = False


def _end_early(number: int) -> None:
    code, word = (
        (INTERRUPTED, "interrupted") if number == signal.SIGINT else (PREEMPTED, "preempted")
    )
    with contextlib.suppress(OSError):  # by the descriptor: what has the stream may be at work
        os.write(2, f"{word} before the run began.\n".encode())
    os._exit(code)


def end_at_once(code: int) -> None:
    """Ends the process, once all is said; what is registered with `atexit` is not called."""
    import logging  # not by whoever wants a signal's handlers early

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # closed, none, or at work itself where a signal came
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
            stream.flush()
    os._exit(code)


def _send(number: int, seconds: float) -> threading.Timer:
    """Sends this process a signal after so many seconds."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
    return timer


@contextlib.contextmanager
def _dropped_interrupts(told: Callable[[KeyboardInterrupt], None]) -> Iterator[None]:
    """Tells of each interrupt that was raised where Python drops errors (`__del__`, weakrefs)."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            if not _is_on_its_way_out():
                told(unraisable.exc_value)
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_on_its_way_out() -> bool:
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@contextlib.contextmanager
def _handled(numbers: tuple[int, ...], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handles signals, but for those that the process was started to ignore (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
