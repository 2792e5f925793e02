"""Files that a kill or a full disk cannot leave half written, and one owner per folder."""

import contextlib
import datetime
import errno
import fcntl
import os
from pathlib import Path


class WriteError(Exception):
    """A file or folder could not be written; what stood there before is as it was.

    forbidden: whether a permission, or a file system that is only read, was why.
    """

    def __init__(self, path: Path, error: OSError, *, verb: str = "write"):
        super().__init__(f"cannot {verb} {path}: {error.strerror or error}")
        self.forbidden = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


class BusyError(Exception):
    """Another process holds the folder."""


def native(path: str | os.PathLike[str]) -> str:
    """The path as the system takes it: in UTF-8, where the locale knows no such characters."""
    text = os.fspath(path)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        text = os.fsdecode(text.encode("utf-8"))
    return text


def make_folder(path: Path) -> None:
    """Makes the folder and those above it, unless they are there.

    Raises:
      WriteError: if the disk or a permission forbids it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(path, error, verb="make folder") from error


def replace(path: Path, data: bytes) -> None:
    """Writes the whole file beside its place, brings it to the disk, then renames it into place.

    Raises:
      WriteError: the file that was there before is untouched.
    """
    make_folder(path.parent)
    beside = temporary(path)
    try:
        with open(beside, "wb", buffering=0) as file:
            _write(file.fileno(), data)
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise


def append(path: Path, data: bytes) -> None:
    """Adds to the end of a file and brings it to the disk; on failure the old end is restored.

    Raises:
      WriteError: nothing of `data` is kept.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            try:
                _write(file.fileno(), data)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        raise WriteError(path, error) from error


def temporary(path: Path) -> Path:
    """Where `replace` writes a file before its rename; a kill may leave it there."""
    return path.with_name(f".{path.name}.tmp")


def hold(path: Path) -> int:
    """Takes the folder for this process; the descriptor returned holds it until closed.

    The lock is on the folder itself (flock), so it leaves no file and dies with its process.
    It holds between the processes of one machine.

    Raises:
      BusyError: if another process holds the folder, or has just moved it away.
      WriteError: if the folder cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise WriteError(path, error, verb="open folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise FileNotFoundError(path)
    except (BlockingIOError, FileNotFoundError) as error:
        os.close(descriptor)
        raise BusyError(f"{path} is in use by another run") from error
    except OSError:
        pass  # a file system without locks: one run per folder is then up to its users
    return descriptor


def move_aside(path: Path) -> Path:
    """Renames the folder to `<path>.<YYYYmmdd-HHMMSS>`, numbered if that is taken.

    Returns:
      The new place.

    Raises:
      WriteError: if it cannot be renamed; it then stays where it is.
    """
    return rename_free(path, f"{path}.{datetime.datetime.now():%Y%m%d-%H%M%S}")


def rename_free(path: Path, wanted: str) -> Path:
    """Renames a file or folder, numbered if the name is taken.

    Returns:
      The new place.

    Raises:
      WriteError: if it cannot be renamed; it then stays where it is.
    """
    aside, number = Path(wanted), 2
    while os.path.lexists(aside):
        aside, number = Path(f"{wanted}-{number}"), number + 1
    try:
        os.rename(path, aside)
    except OSError as error:
        raise WriteError(path, error, verb="move") from error
    return aside


def start_over(path: Path, descriptor: int) -> tuple[Path, int]:
    """Moves a folder that this process holds to `<path>.<time>`, and holds a new one in its place.

    Args:
      path: the folder.
      descriptor: as `hold` gave it; closed once the new folder is held.

    Returns:
      The old folder's new place, and the descriptor of the new one.

    Raises:
      WriteError: if it cannot be renamed; it then stays where it is, and held.
      BusyError: if another process has just taken the new folder.
    """
    aside = move_aside(path)
    make_folder(path)
    held = hold(path)
    os.close(descriptor)  # of the old folder, which no other run took while it was moved
    return aside, held


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk about to be full takes a part without an error
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)
