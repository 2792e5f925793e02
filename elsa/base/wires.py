"""Messages and arrays between two processes, each of which learns soon that the other is gone.

The kernel closes the connection of a process that is killed. A host that has lost its power or its
network says nothing more, so that either side gives a sign every two seconds, and one that has
missed ten signs is gone.
"""

import contextlib
import json
import math
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

BEAT_SECONDS = 2.0
_MISSED = 10  # beats, counted as this process wakes: one that was suspended itself is no judge
_HEAD = struct.Struct(">IQ")  # bytes of the text, and of the arrays that follow it
_LONGEST_TEXT = 2**26
_BEAT = {"do": "beat"}


class LostError(ConnectionError):
    """The other process is gone."""


class Message(NamedTuple):
    """What one process tells another.

    text: plain JSON values; "do" says what it is.
    arrays: bit by bit those that were sent.
    """

    text: dict[str, Any]
    arrays: list[np.ndarray]


class Wire:
    """A connection to another process.

    Args:
      connection: of TCP, given away.
      name: of the other process, for messages.
    """

    def __init__(self, connection: socket.socket, name: str = "the other process"):
        self.name = name
        self._socket, self._sending = connection, threading.Lock()
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, text: Mapping[str, Any], arrays: Sequence[Any] = ()) -> None:
        """Sends a message.

        Raises:
          LostError: where the other process is gone.
        """
        hosted = [np.ascontiguousarray(np.asarray(array)) for array in arrays]
        shapes = [list(np.shape(array)) for array in arrays]  # which a number loses above
        kinds = [[shape, array.dtype.name] for shape, array in zip(shapes, hosted, strict=True)]
        words = json.dumps({**text, "arrays": kinds}).encode()
        blobs = [array.tobytes() for array in hosted]
        head = _HEAD.pack(len(words), sum(map(len, blobs)))
        try:
            with self._sending:
                self._socket.sendall(b"".join([head, words, *blobs]))
        except OSError as error:
            raise LostError(f"{self.name} is gone: {error}") from error

    def receive(self) -> Message:
        """Waits for the next message that is no sign of life.

        Raises:
          LostError: where the other process is gone.
          ValueError: for what is no message.
        """
        while True:
            words, blob = _HEAD.unpack(self._bytes(_HEAD.size))
            if words > _LONGEST_TEXT:
                raise ValueError(f"{self.name} sent what is no message")
            text = json.loads(self._bytes(words))
            arrays = _arrays(text.pop("arrays"), self._bytes(blob))
            if text != _BEAT:
                return Message(text, arrays)

    def beat(self) -> None:
        """Gives a sign of life; one that cannot be given is noticed by who receives."""
        with contextlib.suppress(LostError):
            self.send(_BEAT)

    def close(self) -> None:
        """Ends the connection, which the other side sees."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _bytes(self, count: int) -> bytearray:
        found, missed = bytearray(count), 0
        view = memoryview(found)
        while view:
            try:
                ready, _, _ = select.select([self._socket], [], [], BEAT_SECONDS)
                got = self._socket.recv_into(view) if ready else None
            except (OSError, ValueError) as error:  # ValueError: closed by this process
                raise LostError(f"{self.name} is gone: {error}") from error
            if got == 0:
                raise LostError(f"{self.name} is gone")
            missed = missed + 1 if got is None else 0
            if missed >= _MISSED:
                silent = _MISSED * BEAT_SECONDS
                raise LostError(f"{self.name} gives no sign of life for {silent:g} s")
            view = view[got or 0 :]
        return found


class Beats:
    """Gives signs of life over wires until closed."""

    def __init__(self, wires: Sequence[Wire]):
        self._wires, self._stop = wires, threading.Event()
        threading.Thread(target=self._live, name="beats", daemon=True).start()

    def close(self) -> None:
        """Ends the signs."""
        self._stop.set()

    def _live(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            for wire in self._wires:
                wire.beat()


def listened(
    wire: Wire, told: Callable[[Wire, Message], None], lost: Callable[[Wire, Exception], None]
) -> None:
    """Hands on what a wire receives, in a thread of its own, until the other process is gone."""

    def listen() -> None:
        try:
            while True:
                told(wire, wire.receive())
        except (LostError, ValueError, KeyError, TypeError) as error:
            lost(wire, error)

    threading.Thread(target=listen, name=f"from {wire.name}", daemon=True).start()


def _arrays(kinds: Sequence[tuple[Sequence[int], str]], blob: bytearray) -> list[np.ndarray]:
    found, place = [], 0
    for shape, name in kinds:
        dtype = np.dtype(name)
        count = math.prod(shape)
        flat = np.frombuffer(blob, dtype, count, place) if count else np.empty(0, dtype)
        found.append(flat.reshape(shape))
        place += count * dtype.itemsize
    if place != len(blob):
        raise ValueError("a message's arrays are not as long as it says")
    return found
