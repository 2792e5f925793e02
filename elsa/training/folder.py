"""A run's folder for one process alone, and the signals that ask it to stop."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elsa.base import files, strict_json
from elsa.training.errors import TrainingError
from elsa.training.settings import RunSettings
from elsa.training.trained import CHECKPOINTS, CONFIG, METRICS


@contextlib.contextmanager
def held(folder: Path, settings: RunSettings) -> Iterator[None]:
    """The folder for this process alone, its config.json the one asked for."""
    files.make_folder(folder)
    try:
        descriptor = files.hold(folder)
    except files.BusyError as error:
        raise TrainingError(f"{error}; wait for its end, or give another workdir") from error
    try:
        asked = strict_json.dumps(settings.to_dict(), where="config", indent=2)
        path = folder / CONFIG
        if path.exists():
            _refuse_other(folder, strict_json.loads(asked))
        elif (folder / CHECKPOINTS).exists() or (folder / METRICS).exists():
            raise TrainingError(
                f"{folder} holds a run without {CONFIG}; put it back, or give another workdir"
            )
        else:
            _refuse_strangers(folder)
            files.replace(path, f"{asked}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _refuse_strangers(folder: Path) -> None:
    """Hidden files are let be: a cut-off write of config.json leaves one."""
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise TrainingError(
            f"{folder} is not empty, it holds {found[0]!r}, and no run; give another workdir"
        )


def _refuse_other(folder: Path, asked: Any) -> None:
    try:
        there = strict_json.loads((folder / CONFIG).read_bytes())
    except (ValueError, OSError) as error:
        raise TrainingError(f"cannot read {folder / CONFIG}: {error}") from error
    with contextlib.suppress(KeyError, TypeError, ValueError):
        # an older version has written fewer settings; those it had not stand at their defaults
        defaults_out = RunSettings.from_config(there).to_dict()
        there = strict_json.loads(strict_json.dumps(defaults_out, where="config"))
    difference = strict_json.first_difference(there, asked)
    if difference:
        key, before, now = difference
        raise TrainingError(
            f"{folder} holds a run with another config: {key} is {before} there, {now} is asked "
            "for. Give another workdir"
        )


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C interrupts at once.

    Outside the main thread, where Python gives no signals, it is never set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
