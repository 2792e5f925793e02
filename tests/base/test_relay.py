"""What is handed on, and whose end is not seen."""

import socket

import pytest

from elsa.base.relay import Relay


@pytest.fixture
def ends():
    """Who connects to the relay, and who is reached through it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = Relay(*server.getsockname()).address.split(":")
        here = socket.create_connection((host, int(port)), timeout=10.0)
        there = server.accept()[0]
        there.settimeout(10.0)
    with here, there:
        yield here, there


def test_both_sides_hear_one_another(ends):
    here, there = ends
    for one, other in (ends, ends[::-1]):
        data = bytes(range(256)) * 300
        one.sendall(data)
        assert other.makefile("rb").read(len(data)) == data
    here.shutdown(socket.SHUT_RDWR)
    assert there.recv(1) == b""


def test_the_end_of_who_is_reached_is_not_seen(ends):
    here, there = ends
    there.close()
    here.settimeout(0.3)
    with pytest.raises(TimeoutError):
        here.recv(1)
