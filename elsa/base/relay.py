"""A connection to a process that may die, whose end the one who uses it does not see.

jax's client aborts its process, with a trace, in the moment in which the service of process 0
closes the connection. Behind a relay the service just stays silent, which jax bears for as long as
it was told, and the process can end in its own words.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

_CHUNK = 2**16


class Relay:
    """Hands on what comes to a port of this machine, and what is answered.

    Args:
      host, port: whom it hands it on to.

    Attributes:
      address: "HOST:PORT" to connect to in their place.
    """

    def __init__(self, host: str, port: int):
        self._there = host, port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._kept: list[socket.socket] = []  # open, whatever becomes of the other side
        _begin(self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here = self._server.accept()[0]
                self._kept.append(here)
                try:
                    there = socket.create_connection(self._there)
                except OSError:  # it may not be there yet: the client tries again
                    here.close()
                    continue
                _begin(_hand_on, there, here)
                _begin(_hand_on, here, there, True)


def _hand_on(source: socket.socket, to: socket.socket, ends: bool = False) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            to.sendall(data)
    if ends:
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)  # a close would wait for the thread that reads it


def _begin(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, name="relay", daemon=True).start()
