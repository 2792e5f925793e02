"""What can happen to a file, and what a program must then do: recover, or refuse by name."""

import collections
import contextlib
import errno
import io
import os
import re
from pathlib import Path

import orbax.checkpoint as ocp
import pytest

WAYS_OUT = re.compile(r"[Gg]ive |[Pp]ut |[Tt]ry again|[Rr]estore |[Rr]epair|kept are")


def _half(data, _):
    return data[: len(data) // 2]


def _line(data, _):
    return data[: data.rstrip(b"\n").rfind(b"\n") + 1]


def _flipped(data, _):
    at = len(data) // 2
    while data[at : at + 1] in (b" ", b"\n"):  # between values, where JSON takes other whitespace
        at += 1
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def _doubled(data, _):
    first, rest = data.split(b"\n", 1)
    return first + b"\n" + first + b"\n" + rest


CONTENTS = {
    "truncated": _half,
    "without its last line": _line,
    "emptied": lambda data, _: b"",
    "one byte flipped": _flipped,
    "with CRLF": lambda data, _: data.replace(b"\n", b"\r\n"),
    "with NULs": lambda data, _: b"\0" * 8 + data[8:],
    "with its first line doubled": _doubled,
    "another run's": lambda _, other: other,
}
HARMS = [*CONTENTS, "deleted", "unreadable"]


def apply(harm, path, other, patch):
    """Harms the file.

    Args:
      other: the file of the same place in another run; None where it has none.
      patch: for what is injected rather than done.

    Returns:
      Whether that is any harm to this file.
    """
    if harm == "deleted":
        path.unlink()
        return True
    if harm == "unreadable":
        deny(path, patch)
        return True
    data = path.read_bytes()
    if harm.endswith(("line", "doubled")) and path.suffix != ".jsonl":
        return False
    if harm == "another run's" and other is None:
        return False
    changed = CONTENTS[harm](data, other.read_bytes() if other else b"")
    path.write_bytes(changed)
    return changed != data


def deny(path, patch):
    """Lets every reading of the file fail as without the permission, which root always has."""
    wanted = os.path.abspath(path)

    def refuse(place):
        if isinstance(place, str | os.PathLike) and os.path.abspath(place) == wanted:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))

    opens = io.open

    def opened(place, *arguments, **options):
        refuse(place)
        return opens(place, *arguments, **options)

    patch.setattr(io, "open", opened)
    patch.setattr("builtins.open", opened)
    for owner in (ocp.StandardCheckpointer, ocp.Checkpointer):
        _deny_below(owner, wanted, refuse, patch)


def _deny_below(owner, wanted, refuse, patch):
    restores = owner.restore

    def restored(self, place, *arguments, **options):
        if Path(wanted).is_relative_to(os.path.abspath(place)):
            refuse(wanted)
        return restores(self, place, *arguments, **options)

    patch.setattr(owner, "restore", restored)


def outcomes(group, cases, record_property):
    """Runs all cases, and counts how they ended; the summary of the tests prints the counts.

    Args:
      cases: what was done to which file -> a function that gives "recovered", "refused" or, where
        that was no harm, None; it raises where the harm passed unnoticed.
    """
    counts, failed = collections.Counter(), []
    for case, run in cases.items():
        try:
            counts[run()] += 1
        except Exception as error:
            failed.append(f"{case}: {type(error).__name__}: {error}")
    for outcome in ("recovered", "refused"):
        record_property(f"harm to {group}, {outcome}", counts[outcome])
    assert not failed, f"{len(failed)} failed:\n" + "\n".join(failed)
    return counts


@contextlib.contextmanager
def patched():
    """A patch of its own for every case."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def assert_named(error, path, folder):
    """The text names the file, or the checkpoint it is part of, and a way out."""
    text = str(error)
    relative = path.relative_to(folder)
    place = folder.joinpath(*relative.parts[:2]) if relative.parts[0] == "checkpoints" else path
    config = path.name in ("config.json", "sweep.json") and f"{path.parent} holds a " in text
    assert config or str(place) in text or path.name in text, f"{path} is not named: {text}"
    assert WAYS_OUT.search(text), f"no way out: {text}"
