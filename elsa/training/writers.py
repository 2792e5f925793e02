"""Metrics of a run: a line of JSON for each evaluation, and TensorBoard's event files."""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from elsa.base import files, strict_json
from elsa.training.errors import TrainingError

_FLUSH_SECONDS = 10.0


class MetricsFile:
    """metrics.jsonl, cut back to where a checkpoint says it was.

    It holds no clock times, so that a resumed run writes the same bytes as an unbroken one.

    Args:
      path: the file; made at the first line.
      position: bytes to keep; what follows was written after the checkpoint and comes again.

    Raises:
      TrainingError: for a file that has lost lines.
      files.WriteError: where it cannot be cut.
    """

    def __init__(self, path: Path, position: int):
        self.path = path
        held = path.stat().st_size if path.exists() else 0
        if held < position:
            raise TrainingError(
                f"{path} holds {held} bytes, the checkpoint was written at {position}: lines are "
                "missing. Put the file back, or start anew in another folder"
            )
        if held > position:
            files.guarded(path)
            try:
                os.truncate(path, position)
            except OSError as error:
                raise files.WriteError(path, error) from error
        self.position = position

    def append(self, record: dict[str, Any]) -> None:
        """Adds one line, on the disk before this returns.

        Raises:
          files.WriteError: nothing of the line is kept.
          files.ReplacedError: where another process has the folder, or has written here.
        """
        line = (strict_json.dumps(record, where="metrics") + "\n").encode()
        files.append(self.path, line, at=self.position)
        self.position += len(line)


class EventFiles:
    """TensorBoard's event files, one for each process of a run.

    A file opens with the event that makes TensorBoard forget what an earlier process wrote after
    the checkpoint. Events are written by the caller's thread: tensorboardX's own thread dies on a
    full disk, and its queue then blocks for ever.

    Args:
      folder: where TensorBoard finds them; made if need be.
      step: steps trained so far.

    Raises:
      files.WriteError: where the disk or a permission forbids it; so do all methods.
    """

    def __init__(self, folder: Path, step: int):
        from tensorboardX.event_file_writer import EventsWriter  # half a second to import
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        files.make_folder(folder)
        self._folder, self._flushed = folder, time.monotonic()
        with self._written():
            # the name holds whole seconds only, and a file of that name would be replaced
            self._writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
            start = SessionLog(status=SessionLog.START)
            # TensorBoard drops this step too, and the checkpoint's own events must stay
            self._writer.write_event(Event(step=step + 1, session_log=start, wall_time=time.time()))

    def add(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of one evaluation."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        with self._written():
            for name, value in scalars.items():
                event = Event(step=step, summary=scalar(name, value), wall_time=time.time())
                self._writer.write_event(event)
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Brings all events to the disk."""
        with self._written():
            self._writer.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Brings all events to the disk, and lets go of the file."""
        with self._written():
            self._writer.close()

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise files.WriteError(self._folder, error) from error


def metrics_line(
    step: int, loss: np.ndarray, active: np.ndarray, diverged: np.ndarray
) -> dict[str, Any]:
    """One line of metrics.jsonl: losses by seed and point."""
    return {
        "step": step,
        "loss": plain(loss),
        "active": int(active.sum()),
        "diverged": int(diverged.sum()),
    }


def plain(table: np.ndarray) -> list[list[float | None]]:
    """Numbers by seed and point, None where they are not finite."""
    return [[float(v) if math.isfinite(v) else None for v in row] for row in table]
