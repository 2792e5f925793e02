"""Several processes that compute one run: how they find, tell and leave one another.

Process 0 runs the experiment and is the only one that writes. The others do what it tells them
(`training.sharing`). One connection joins each of them to it, by which each learns within seconds
that the other is gone, while a collective of jax's would wait for minutes and abort.
"""

import contextlib
import importlib.metadata
import os
import queue
import select
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from elsa.base import stopping
from elsa.base.job import Job, JobError
from elsa.base.relay import Relay
from elsa.base.wires import Beats, LostError, Message, Wire, listened

JOIN_SECONDS = 300.0  # that processes wait for one another, as jax does
_LEAVE_SECONDS = 10.0
_LOST_SECONDS = 25.0  # until a process that is gone shows: longer than its missed signs
_NEVER = 10**6  # seconds that jax would wait before it aborts: the wires know sooner
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FAILED = 1


class Together:
    """This process's part in a job that it has joined.

    Attributes:
      job: the job.
      orders: what process 0 has told this one to do, in order.
    """

    def __init__(self, job: Job, wires: Sequence[Wire]):
        self.job, self._wires = job, list(wires)
        self.orders: queue.Queue[Message] = queue.Queue()
        self._leaving, self._stops = threading.Event(), threading.Event()
        self._beats = Beats(self._wires)
        for wire in self._wires:
            listened(wire, self._told, self._lost)

    def tell(self, text: Mapping[str, Any], arrays: Sequence[Any] = ()) -> None:
        """Tells the others what to do; in a process that does not lead, tells process 0."""
        for wire in self._wires:
            with self.lost_is_the_end():
                wire.send(text, arrays)

    @contextlib.contextmanager
    def lost_is_the_end(self) -> Any:
        """What fails inside because another process is gone ends this one, as `_lost` does.

        A collective fails at once, or never, where a process is gone; whichever comes first.
        """
        try:
            yield
        except (LostError, jax.errors.JaxRuntimeError):
            time.sleep(_LOST_SECONDS)  # the thread that learns of it ends the process
            raise

    def leave(self, code: int) -> None:
        """Ends this process with an exit code, and, where it leads, all others first."""
        self._leaving.set()
        for wire in self._wires:
            with contextlib.suppress(LostError):
                if self.job.leads:
                    wire.send({"do": "leave", "code": code})
        until = time.monotonic() + _LEAVE_SECONDS * self.job.leads
        while any(thread.is_alive() for thread in self._listeners()) and time.monotonic() < until:
            time.sleep(0.02)
        # not by Python's way: jax would wait there for processes that are gone already
        stopping.end_at_once(code)

    def _listeners(self) -> list[threading.Thread]:
        names = {f"from {wire.name}" for wire in self._wires}
        return [thread for thread in threading.enumerate() if thread.name in names]

    def _told(self, wire: Wire, message: Message) -> None:
        match message.text["do"]:
            case "stop":  # a signal that another process has got
                if not self._stops.is_set():
                    self._stops.set()
                    os.kill(os.getpid(), signal.SIGTERM)
            case "failed":
                self._end(f"error: {wire.name}: {message.text['why']}", _FAILED)
            case "leave":
                self._leaving.set()
                self.orders.put(message)
                # the main thread may wait for process 0 in a collective
                timer = threading.Timer(_LEAVE_SECONDS / 3, os._exit, (message.text["code"],))
                timer.daemon = True
                timer.start()
            case _:
                self.orders.put(message)

    def _lost(self, wire: Wire, error: Exception) -> None:
        if not self._leaving.is_set():
            text = f"{error}, and process {self.job.process} ends, too: the same commands go on"
            self._end(text, stopping.PREEMPTED)

    def _end(self, text: str, code: int) -> None:
        """Ends the process from a thread: the main one may wait in a collective forever."""
        self._leaving.set()
        with contextlib.suppress(OSError):  # by the descriptor: what has the stream may be at work
            os.write(2, f"{text}.\n".encode())
        os._exit(code)


class _Current:
    together: Together | None = None


def current() -> Together | None:
    """The job of this process; None for a process of its own."""
    return _Current.together


def join(job: Job, alike: Mapping[str, Any]) -> Together:
    """Joins the other processes of a job, before jax has computed anything.

    Args:
      job: which.
      alike: what all processes must have been given alike, plain JSON values by name.

    Raises:
      JobError: where not all come, one comes twice, or one was given something else.
    """
    alike = {**_versions(), **alike}
    try:
        wires, port = _gathered(job, alike) if job.leads else _joined(job, alike)
    except LostError as error:
        raise JobError(f"{error} before all had come") from error
    together = Together(job, wires)
    _begin_jax(job, port)
    _Current.together = together
    return together


def _gathered(job: Job, alike: Mapping[str, Any]) -> tuple[list[Wire], int]:
    """Process 0's wires to all others, in their order, and the port of jax's service."""
    until, found = time.monotonic() + JOIN_SECONDS, dict[int, Wire]()
    with _listening(job) as listener:
        while len(found) < job.processes - 1:
            if not select.select([listener], [], [], 0.1)[0]:
                if time.monotonic() > until:
                    absent = sorted({*range(1, job.processes)} - {*found})
                    raise JobError(
                        f"process{'es' * (len(absent) > 1)} {', '.join(map(str, absent))} of "
                        f"{job.processes} did not come to {job.host}:{job.port} within "
                        f"{JOIN_SECONDS:g} s"
                    )
                continue
            wire = Wire(listener.accept()[0])
            with contextlib.suppress(LostError, ValueError, KeyError, TypeError):  # a stranger
                hello = wire.receive().text
                number = int(hello["process"])
                wire.name = f"process {number} on {hello['host']}"
                if why := _refusal(job, number, hello, alike, found):
                    for other in (*found.values(), wire):
                        other.send({"do": "refuse", "why": why})
                    raise JobError(why)
                found[number] = wire
    port = _free_port(job)
    wires = [found[number] for number in sorted(found)]
    for wire in wires:
        wire.send({"do": "begin", "port": port, "host": socket.gethostname()})
    return wires, port


def _refusal(
    job: Job,
    number: int,
    hello: Mapping[str, Any],
    alike: Mapping[str, Any],
    found: Mapping[int, Wire],
) -> str:
    """Why a process cannot join; "" where it can."""
    there = hello["alike"]
    if hello["processes"] != job.processes:
        return f"process {number} was told of {hello['processes']} processes, not {job.processes}"
    if number in found or not 0 < number < job.processes:
        return f"process {number} came to process 0 twice; each has a number of its own"
    for name, value in alike.items():
        if there.get(name) != value:
            return (
                f"process {number} has another {name}, {there.get(name)!r}, than process 0, "
                f"{value!r}. Processes that share a run are given the same; those that each have a "
                "run of their own are given --processes=1"
            )
    return ""


def _joined(job: Job, alike: Mapping[str, Any]) -> tuple[list[Wire], int]:
    """The wire to process 0, and the port of jax's service."""
    until = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            wire = Wire(socket.create_connection((job.host, job.port), 5.0), "process 0")
            break
        except OSError as error:  # it may not be there yet
            if time.monotonic() > until:
                raise JobError(
                    f"process {job.process} did not reach process 0 at {job.host}:{job.port} "
                    f"within {JOIN_SECONDS:g} s: {error}"
                ) from error
            time.sleep(0.1)
    hello = {"process": job.process, "processes": job.processes, "host": socket.gethostname()}
    try:
        wire.send({"do": "join", **hello, "alike": dict(alike)})
        answer = _patiently(wire)
    except LostError as error:
        raise JobError(f"process 0 at {job.host}:{job.port} went away: {error}") from error
    if answer["do"] == "refuse":
        raise JobError(str(answer["why"]))
    wire.name = f"process 0 on {answer['host']}"
    return [wire], int(answer["port"])


def _patiently(wire: Wire) -> dict[str, Any]:
    """What process 0 answers once all others have come."""
    until = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            return wire.receive().text
        except LostError as error:
            if "no sign" not in str(error) or time.monotonic() > until:
                raise


def _listening(job: Job) -> socket.socket:
    try:
        if _is_loopback(job.host):
            return socket.create_server((job.host, job.port))
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", job.port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", job.port))
    except OSError as error:
        raise JobError(
            f"process 0 cannot wait at {job.host}:{job.port}: {error.strerror or error}; give "
            "--coordinator another port"
        ) from error


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.")


def _free_port(job: Job) -> int:
    host = job.host if _is_loopback(job.host) else ""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def _begin_jax(job: Job, port: int) -> None:
    """jax's own service among processes, by which it places arrays on the devices of all."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    failed: list[Exception] = []

    def begin() -> None:
        try:
            jax.distributed.initialize(
                f"{job.host}:{port}" if job.leads else Relay(job.host, port).address,
                job.processes,
                job.process,
                cluster_detection_method="deactivate",
                coordinator_bind_address=f"{job.host if _is_loopback(job.host) else '[::]'}:{port}",
                initialization_timeout=int(JOIN_SECONDS),
                heartbeat_timeout_seconds=_NEVER,
            )
            jax.devices()  # those of all, which each process waits for
        except Exception as error:
            failed.append(error)

    # in a thread, so that a signal need not wait for processes that do not come
    thread = threading.Thread(target=begin, name="joining", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    for number, handler in before.items():  # some versions of jax take SIGTERM for themselves
        if handler is not None:
            signal.signal(number, handler)
    if failed:
        raise JobError(f"jax cannot join the processes: {failed[0]}") from failed[0]


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax")}
