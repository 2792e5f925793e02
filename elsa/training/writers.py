"""Metrics of a run: a line of JSON for each evaluation, and TensorBoard's event files."""

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elsa.base import files, strict_json
from elsa.training.errors import TrainingError

_FLUSH_SECONDS = 10.0


class Written(NamedTuple):
    """How much of metrics.jsonl there was at a moment, and what.

    position: bytes.
    digest: their SHA-256; None where an earlier version did not write it.
    """

    position: int
    digest: str | None

    def differs(self, path: Path) -> str:
        """What is wrong with the file's beginning, to follow its name; "" for nothing.

        Raises:
          TrainingError: where it cannot be read.
        """
        data = contents(path)
        if len(data) < self.position:
            return (
                f"holds {len(data)} bytes, the checkpoint was written at {self.position}: lines "
                "are missing"
            )
        found = hashlib.sha256(data[: self.position]).hexdigest()
        if self.digest not in (None, found):
            return (
                f"is not what this run wrote: its first {self.position} bytes have another SHA-256 "
                "than the checkpoint says"
            )
        return ""


def written_of(notes: Mapping[str, Any]) -> Written:
    """Of a checkpoint's notes."""
    return Written(int(notes["position"]), notes.get("metrics"))


def contents(path: Path) -> bytes:
    """The bytes of metrics.jsonl, none where there is no file.

    Raises:
      TrainingError: where it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise TrainingError(
            f"cannot read {path}: {error.strerror or error}; nothing was changed. Try again once "
            "that is mended, or give another workdir"
        ) from error


class MetricsFile:
    """metrics.jsonl, cut back to where a checkpoint says it was.

    It holds no clock times, so that a resumed run writes the same bytes as an unbroken one.

    Args:
      path: the file; made at the first line.
      position: bytes to keep; what follows was written after the checkpoint and comes again.

    Raises:
      TrainingError: for a file that cannot be read, or has lost lines.
      files.WriteError: where it cannot be cut.
    """

    def __init__(self, path: Path, position: int):
        self.path = path
        data = contents(path)
        if lost := Written(position, None).differs(path):
            raise TrainingError(
                f"{path} {lost}. Put the file back, or start anew in another folder"
            )
        if len(data) > position:
            files.guarded(path)
            try:
                os.truncate(path, position)
            except OSError as error:
                raise files.WriteError(path, error) from error
        self.position, self._sum = position, hashlib.sha256(data[:position])

    @property
    def written(self) -> Written:
        """What there is so far."""
        return Written(self.position, self._sum.hexdigest())

    def append(self, record: dict[str, Any]) -> None:
        """Adds one line, on the disk before this returns.

        Raises:
          files.WriteError: nothing of the line is kept.
          files.ReplacedError: where another process has the folder, or has written here.
        """
        line = (strict_json.dumps(record, where="metrics") + "\n").encode()
        files.append(self.path, line, at=self.position)
        self.position += len(line)
        self._sum.update(line)


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


def last_event(folder: Path, at_most: int) -> int:
    """The last step up to a given one that TensorBoard's files in a folder hold; -1 for none.

    A file whose end is cut short or damaged counts up to there.

    Raises:
      OSError: where one cannot be read.
    """
    from tensorboardX.proto.event_pb2 import Event

    last = -1
    for path in folder.glob("events*"):
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):  # length, its checksum, the event, its checksum
            length = int.from_bytes(data[at : at + 8], "little")
            with contextlib.suppress(Exception):  # what protobuf raises of damaged bytes
                event = Event.FromString(data[at + 12 : at + 12 + length])
                if event.HasField("summary") and event.step <= at_most:
                    last = max(last, event.step)
            at += 12 + length + 4
    return last


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
