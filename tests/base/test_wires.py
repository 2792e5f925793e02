"""Messages and arrays between processes, and how each learns that the other is gone."""

import queue
import socket

import ml_dtypes
import numpy as np
import pytest

from elsa.base import wires
from elsa.base.wires import Beats, LostError, Wire, listened


@pytest.fixture
def ends(monkeypatch):
    monkeypatch.setattr(wires, "BEAT_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as server:
        first = socket.create_connection(server.getsockname())
        pair = Wire(first, "process 1"), Wire(server.accept()[0], "process 0")
    yield pair
    for wire in pair:
        wire.close()


def test_arrays_arrive_bit_by_bit(ends):
    sent = [
        np.array([[-0.0, np.nan], [np.inf, 5e-324]]),
        np.float32(0.1),
        np.zeros((0, 3), np.int32),
        np.arange(6, dtype=np.int8).reshape(2, 3)[:, ::2],
        np.array([1.5, -2.0], ml_dtypes.bfloat16),
        np.array(True),
    ]
    ends[0].send({"do": "begin", "given": ["a"]}, sent)
    ends[0].send({"do": "end"})
    text, arrays = ends[1].receive()
    assert text == {"do": "begin", "given": ["a"]}
    for found, known in zip(arrays, sent, strict=True):
        assert found.dtype == known.dtype and found.shape == np.shape(known)
        assert found.tobytes() == np.ascontiguousarray(known).tobytes()
    assert ends[1].receive() == ({"do": "end"}, [])


def test_a_closed_connection_is_a_lost_process(ends):
    ends[0].close()
    with pytest.raises(LostError, match="process 0 is gone"):
        ends[1].receive()
    with pytest.raises(LostError, match="process 0 is gone"):
        for _ in range(100):  # the first may leave before the other side's answer has come
            ends[1].send({"do": "end"})


def test_silence_is_a_lost_process_and_beats_are_none(ends):
    beats = Beats([ends[0]])
    told, lost = queue.Queue(), queue.Queue()
    listened(ends[1], lambda *found: told.put(found), lambda *found: lost.put(found))
    with pytest.raises(queue.Empty):
        lost.get(timeout=0.5)  # longer than the signs that may be missed
    assert told.empty()
    beats.close()
    wire, error = lost.get(timeout=10.0)
    assert wire is ends[1] and "process 0 gives no sign of life for" in str(error)


def test_what_is_no_message_is_refused(ends):
    ends[0]._socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ValueError, match="process 0 sent what is no message"):
        ends[1].receive()
    ends[0].close()
