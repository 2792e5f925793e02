"""The file of a user's table, which can be looked for before anything slow is imported."""

import os
import stat
from pathlib import Path

from elsa.base.files import native
from elsa.base.values import nearest

_LONG, _SHOWN = 250, 40  # characters of a path, in an error


def table_file(path: str | os.PathLike[str]) -> Path:
    """The file, which is there; `~` is the home folder.

    Raises:
      OSError: of the kind that fits, where there is no such file, with the nearest names beside it,
        or what stands there is none.
    """
    said = _said(path)
    if not str(path).strip():
        raise FileNotFoundError(f"{said}, which names none")
    file = Path(native(os.path.expanduser(path)))
    try:
        mode = os.stat(file).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a NUL in the name
        hint = nearest(file.name, _beside(file))
        raise FileNotFoundError(
            f"{said}: there is no file {str(file.absolute())!r}{hint}"
        ) from None
    except OSError as error:
        raise type(error)(f"{said}: {error.strerror}") from error
    if stat.S_ISREG(mode):
        return file
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{said}, which is a folder; name a file in it")
    raise FileNotFoundError(f"{said}, which is no regular file")


def bytes_of(path: str | os.PathLike[str]) -> bytes:
    """What the file holds.

    Raises:
      OSError: as `table_file`; or where it cannot be read.
    """
    file = table_file(path)
    try:
        return file.read_bytes()
    except OSError as error:
        raise type(error)(f"{_said(path)}: {error.strerror}") from error


def _said(path: str | os.PathLike[str]) -> str:
    name = str(path)
    cut = f"{name[:_SHOWN]!r}.., {len(name)} characters" if len(name) > _LONG else repr(name)
    return f"read_csv: path (data.path in a config) must be a CSV file, got {cut}"


def _beside(file: Path) -> list[str]:
    try:
        return os.listdir(file.parent)
    except OSError:
        return []
