"""One owner for a folder, among the processes of several machines too."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elsa.base import files

OWNER = ".owner"
BEAT_SECONDS = 10.0
_MISSED = 3  # beats, after which an owner counts as dead
_PATIENCE = 12  # beats to wait for the end of an owner that lives: a job about to be killed
_PROCESS = uuid.uuid4().hex
_DEAD: set[Any] = set()  # processes whose silence was waited for once, in another folder


class Owner:
    """Holds a folder for this process until closed; every file written there is checked for it.

    The lock of `files.hold` decides between the processes of one machine, at once. It may not reach
    those of another machine. For them the folder has a file `.owner`, with host, process, job and
    the count of a heartbeat, which a thread of the owner's raises every `BEAT_SECONDS`. A process
    that finds the file waits, and takes the folder over when three beats are missing by its own
    clock: two clocks need not agree. It gives up where the owner is still alive after 12. An
    owner on the same machine is known to be dead where its lock is free, or its process gone, and
    nobody waits. An owner that was silent for so long, as after a suspension, finds itself replaced
    before its next write (`files.guarded`), and stops.

    Assumed of the file system: link, or open with O_EXCL, fails where the name exists, rename is
    atomic, and a file that is opened shows what another machine has synced (close-to-open, as NFS
    has it). The owner's file is linked into place whole; later beats overwrite its count through
    the descriptor, so that they never reach a successor's file. Who takes over renames the file
    that it watched to a name of its own, and looks whether it is that file; another's is given
    back. What cannot be excluded without locks: a process that is suspended for 30 s between its
    check and its write, and then writes once more.

    Where the file cannot be written, nothing else is: the first write to come raises that error,
    and what only reads goes on, as in a read-only folder.

    Attributes:
      path: the folder.
    """

    def __init__(self, path: Path):
        self.path, self._place = path, Path(os.path.abspath(path))
        self._token, self._beats, self._file = uuid.uuid4().hex, 0, -1
        self._failure: OSError | None = None
        self._stop, self._thread = threading.Event(), threading.Thread()
        self._descriptor = files.hold(path)
        try:
            self._claim()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets another process have the folder."""
        self._let_go()
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def start_over(self) -> Path:
        """Moves the folder to `<path>.<time>`, and owns a new one in its place.

        Returns:
          The old folder's new place.

        Raises:
          WriteError, BusyError: as `files.start_over`.
        """
        self._let_go()  # who takes the old folder now finds itself without it before it writes
        aside, self._descriptor = files.start_over(self.path, self._descriptor)
        self._claim()
        return aside

    def check(self, path: Path) -> None:
        """Refuses to write a file where another process has the folder.

        Raises:
          ReplacedError: naming that process.
          WriteError: where the owner's file could not be written, or cannot be read.
        """
        if self._failure is not None:
            raise files.WriteError(path, self._failure)
        for pause in (0.02, 0.2, 1.0, 0.0):  # one who takes over by mistake gives it back
            found = _read(self._place / OWNER)
            if found is not None:
                break
            time.sleep(pause)
        there = _parsed(found)
        if there.get("token") == self._token:
            return
        who = f"{_named(there)} has taken it over" if found else f"its {OWNER} is gone"
        raise files.ReplacedError(
            f"{self.path} is no longer this run's: {who}, and this process writes nothing more. A "
            f"process that gives no sign for {_MISSED * BEAT_SECONDS:g} s loses its folder"
        )

    def _claim(self) -> None:
        """Puts this process's file into the place of none, or of a dead owner's."""
        beside = self._place / f"{OWNER}.{self._token}"
        try:
            self._file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            self._write()
            self._wait_for(beside)
        except OSError as error:
            self._failure = error
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
        files.guard(self._place, self.check)
        if self._failure is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._live, name="owner", daemon=True)
            self._thread.start()

    def _wait_for(self, beside: Path) -> None:
        began = since = time.monotonic()
        watched: bytes | None = None
        alive = False
        while not self._placed(beside):
            found, now = _read(self._place / OWNER), time.monotonic()
            if found is None:
                continue
            there = _parsed(found)
            if found != watched:
                alive, since = alive or watched is not None, now
                if watched is None and not self._is_dead(there):
                    warnings.warn(
                        f"waiting for {self.path}, which {_named(there)} holds: it is taken over "
                        f"where that gives no sign for {_MISSED * BEAT_SECONDS:g} s",
                        stacklevel=2,
                    )
                watched = found
            if self._is_dead(there) or now - since >= _MISSED * BEAT_SECONDS:
                _DEAD.add(_process(there))
                self._displace(found)
                watched, alive = None, False
            elif alive and now - began >= _PATIENCE * BEAT_SECONDS:
                raise files.BusyError(f"{self.path} is in use by another run, {_named(there)}")
            else:
                time.sleep(min(0.5, BEAT_SECONDS / 10))

    def _placed(self, beside: Path) -> bool:
        place = self._place / OWNER
        try:
            os.link(beside, place)
        except FileExistsError:
            return os.fstat(self._file).st_nlink == 2  # NFS may repeat what was done
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            try:  # a file system without links
                descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            os.close(self._file)
            self._file = descriptor
            self._write()
        return True

    def _displace(self, expected: bytes) -> None:
        """Removes the owner's file, if it is the one that was seen."""
        place, aside = self._place / OWNER, self._place / f"{OWNER}.{self._token}.old"
        if _read(place) != expected:
            return
        try:
            os.rename(place, aside)
        except FileNotFoundError:
            return
        if _read(aside) != expected:  # of one who was faster, or lives
            with contextlib.suppress(OSError):
                os.link(aside, place)
        os.unlink(aside)

    def _is_dead(self, there: Mapping[str, Any]) -> bool:
        here = _machine()
        if there and _process(there) in _DEAD:
            return True
        if any(there.get(key) != here[key] for key in ("host", "boot")):
            return False
        if self._has_lock():
            return True
        pid = there.get("pid")
        if there.get("pids") != here["pids"] or not isinstance(pid, int):
            return False
        return not runs(pid) or (pid == os.getpid() and there.get("process") != _PROCESS)

    def _has_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _write(self) -> None:
        about = {"token": self._token, "process": _PROCESS, **_machine(), "job": _job()}
        text = json.dumps({**about, "pid": os.getpid(), "beat": f"{self._beats:012d}"})
        os.pwrite(self._file, f"{text}\n".encode(), 0)  # always of one length
        os.fsync(self._file)

    def _live(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            self._beats += 1
            with contextlib.suppress(OSError):  # the next one may succeed
                self._write()

    def _let_go(self) -> None:
        files.unguard(self._place, self.check)
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS)
        if self._file >= 0:
            with contextlib.suppress(OSError):
                found = _read(self._place / OWNER)
                if found is not None and _parsed(found).get("token") == self._token:
                    self._displace(found)
            if not self._thread.is_alive():  # a disk that hangs
                os.close(self._file)
        self._file = -1


def is_owner_s(name: str) -> bool:
    """Whether a file of that name says who owns the folder, and is no content of it."""
    return name == OWNER or name.startswith(f"{OWNER}.")


def _read(path: Path) -> bytes | None:
    """The file's content, none of a link to nowhere; None where there is no file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b"" if path.is_symlink() else None
    except OSError as error:
        raise files.WriteError(path, error, verb="read") from error


def _parsed(data: bytes | None) -> dict[str, Any]:
    """What an owner's file says; nothing where it is damaged."""
    try:
        found = json.loads(data or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _process(there: Mapping[str, Any]) -> tuple[str, ...]:
    """A process of its own for each child of a fork too."""
    return tuple(str(there.get(key)) for key in ("process", "host", "boot", "pid"))


def _named(there: Mapping[str, Any]) -> str:
    if "pid" not in there:
        return "a process that cannot be read of"
    job = f", job {there['job']}" if there.get("job") else ""
    return f"process {there['pid']} on {there.get('host')}{job}"


def _machine() -> dict[str, str]:
    """Host, boot of its kernel, and the space in which process ids count."""
    boot, pids = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        pids = os.readlink("/proc/self/ns/pid")
    return {"host": socket.gethostname(), "boot": boot, "pids": pids}


def _job() -> str:
    names = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def runs(pid: int) -> bool:
    """Whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
