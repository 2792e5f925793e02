"""A digest in each line of metrics.jsonl, of the line and of all that stands before it.

A line that was altered, lost, put in or moved shows, and so does the file of another run: the first
digest is one of the run's config. A file without its last lines is whole; their cases run again.
Clock times do not count: the same run has the same digests whenever it is made. In the digests of
earlier versions they did, and such lines stay what they are.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from elsa.base import strict_json

FIELD = "chain"
_CLOCK = "seconds"  # the field of a line that is another one in every process


class LineError(Exception):
    """A broken line that is not the end of a file cut off by a kill."""

    def __init__(self, line: int, reason: str):
        super().__init__(f"line {line}: {reason}")


def start(config: Any) -> str:
    """The digest before the first line, of plain values that tell the run from others."""
    return _digest("", config)


def linked(line: Mapping[str, Any], before: str) -> dict[str, Any]:
    """The line with its digest, as its last field.

    Args:
      line: what is to be written.
      before: the digest of the line before it, or `start`.
    """
    return {**line, FIELD: _digest(before, _timeless(line))}


def end(data: bytes, before: str) -> str:
    """The digest of the last of these lines, each of which is a JSON object.

    Lines of the earliest versions hold no digest; they count for those that follow.

    Raises:
      LineError: for the first line that is not what was written after those before it.
    """
    timeless, timed = before, before  # as this version and as earlier ones count
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        line = strict_json.loads(text)
        claimed = line.pop(FIELD, None)
        timeless, timed = _digest(timeless, _timeless(line)), _digest(timed, line)
        if claimed not in (None, timeless, timed):
            raise LineError(
                number,
                "not what this run wrote there: a line was altered, lost or put in, or the file is "
                "another run's",
            )
        timeless, timed = claimed or timeless, claimed or timed
    return timeless


def _timeless(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != _CLOCK}


def _digest(before: str, value: Any) -> str:
    text = strict_json.dumps(value, where="line")
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()[:16]
