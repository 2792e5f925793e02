"""Files that a kill or a full disk cannot leave half written, and one owner per folder."""

import contextlib
import datetime
import errno
import fcntl
import os
from collections.abc import Callable
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


class ReplacedError(Exception):
    """Another process has taken the folder over; nothing was written since."""


_GUARDS: dict[str, Callable[[Path], None]] = {}  # by absolute folder; `owner.Owner` enters them


def guard(folder: Path, check: Callable[[Path], None]) -> None:
    """Lets `check` refuse a file that this process is about to write below an absolute folder."""
    _GUARDS[str(folder)] = check


def unguard(folder: Path, check: Callable[[Path], None]) -> None:
    """Ends what `guard` began."""
    if _GUARDS.get(str(folder)) == check:
        del _GUARDS[str(folder)]


def guarded(path: Path) -> None:
    """Asks those who guard the folders above a file whether it may be written.

    Raises:
      ReplacedError: where a folder that this process held is another one's now.
      WriteError: where that cannot be found out.
    """
    place = Path(os.path.abspath(path))
    for folder in (place, *place.parents):
        if check := _GUARDS.get(str(folder)):
            check(path)


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

    A symbolic link stays one: the file that it points to is replaced.

    Raises:
      WriteError: the file that was there before is untouched; also for a device or a pipe.
      ReplacedError: as `guarded`; so do all functions that write below a folder that is held.
    """
    guarded(path)
    make_folder(path.parent)
    try:
        place = path.resolve() if path.is_symlink() else path
        if place.is_symlink():  # what newer Pythons return of links that point to one another
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if place.exists() and not place.is_file():
            raise OSError(None, "it is no regular file")
    except (OSError, RuntimeError) as error:  # links that point to one another
        known = error if isinstance(error, OSError) else OSError(None, str(error))
        raise WriteError(path, known) from error
    beside = temporary(place)
    try:
        with open(beside, "wb", buffering=0) as file:
            _write(file.fileno(), data)
        os.replace(beside, place)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise


def append(path: Path, data: bytes, *, at: int | None = None) -> None:
    """Adds to the end of a file and brings it to the disk; on failure the old end is restored.

    Args:
      path: the file; made if need be.
      data: what is added.
      at: where the end must be, as this process left it; None for wherever it is.

    Raises:
      WriteError: nothing of `data` is kept.
      ReplacedError: as `guarded`; and where the end is elsewhere, because another process wrote.
    """
    guarded(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            if at is not None and end != at:
                raise ReplacedError(
                    f"{path} holds {end} bytes, this process left {at}: another one writes there, "
                    "and this one writes nothing more"
                )
            try:
                _write(descriptor, data)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WriteError(path, error) from error


def temporary(path: Path) -> Path:
    """Where `replace` writes a file before its rename; a kill may leave it there."""
    return path.with_name(f".{path.name}.tmp")


def hold(path: Path) -> int:
    """Takes the folder for this process; the descriptor returned holds it until closed.

    The lock is on the folder itself (flock), so it leaves no file and dies with its process.
    It holds between the processes of one machine; `owner.Owner` between those of several.

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
    guarded(path)
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
