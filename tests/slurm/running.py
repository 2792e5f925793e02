"""The processes of this machine, by what they were started with."""

from collections.abc import Iterator
from pathlib import Path


def processes() -> Iterator[tuple[int, list[bytes], bytes]]:
    """Id, words and environment of each process that may be looked at."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            inside = (path / "environ").read_bytes()
        except OSError:
            continue
        yield int(path.name), words, inside
