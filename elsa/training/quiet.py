"""Silence for what orbax logs: failed writes, which raise, too, and waiting for slow ones."""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Iterator

from elsa.training.damage import lost_reads_are_silent

_SETTLES = 5.0  # seconds that the writing threads of a failed checkpoint are given
_lasting: list[contextlib.ExitStack] = []  # else what they silence were heard once it is collected


@contextlib.contextmanager
def orbax_is_silent() -> Iterator[None]:
    """Keeps errors that orbax logs off the screen; they come out of the calls of its manager.

    A full disk fails each array in a thread of its own, and every thread and every one that waits
    for it logs the whole traceback, through absl. On a slow disk it says for how long it waited,
    among the lines of a run. All is logged still where absl's verbosity is debugging, as with -v=1
    of a command line.
    """
    logger = logging.getLogger("absl")

    def is_said(record: logging.LogRecord) -> bool:
        if "/orbax/" not in record.pathname or logger.isEnabledFor(logging.DEBUG):
            return True
        # it also warns of the files that a failed write has not made
        said = record.getMessage()
        harmless = "does not exist" in said or said.startswith("Waiting for previous save")
        return record.levelno < logging.ERROR and not harmless

    logger.addFilter(is_said)
    try:
        with lost_reads_are_silent():  # a write that fails leaves the same behind
            yield
    finally:
        logger.removeFilter(is_said)


def settle(silence: contextlib.ExitStack) -> None:
    """Gives the threads of a failed checkpoint the time to end, while they are silent still.

    The first one that fails is what orbax raises; it does not wait for the others.

    Args:
      silence: holds `orbax_is_silent`. Where threads take longer, on a machine with other work, it
        is emptied, and the silence lasts as long as the process.
    """
    ends = time.monotonic() + _SETTLES
    threads = [
        thread
        for thread in threading.enumerate()
        if type(thread).__module__.partition(".")[0] == "orbax" and not thread.daemon
    ]
    for thread in threads:
        threading.Thread.join(thread, max(0.0, ends - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        _lasting.append(silence.pop_all())
    gc.collect()  # tasks that nobody awaits complain when they are collected
    time.sleep(0.2)  # tensorstore's own threads answer to a loop that is closed by now
