"""A digest in each line of metrics.jsonl, of the line and of all that stands before it.

A line that was altered, lost, put in or moved shows, and so does the file of another run: the first
digest is one of the run's config. A file without its last lines is whole; their cases run again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from elsa.base import strict_json

FIELD = "chain"


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
    return {**line, FIELD: _digest(before, line)}


def end(data: bytes, before: str) -> str:
    """The digest of the last of these lines, each of which is a JSON object.

    Lines of earlier versions hold no digest; they count for those that follow.

    Raises:
      LineError: for the first line that is not what was written after those before it.
    """
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        line = strict_json.loads(text)
        claimed = line.pop(FIELD, None)
        before = _digest(before, line)
        if claimed not in (None, before):
            raise LineError(
                number,
                "not what this run wrote there: a line was altered, lost or put in, or the file is "
                "another run's",
            )
    return before


def _digest(before: str, value: Any) -> str:
    text = strict_json.dumps(value, where="line")
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()[:16]
