"""JSON files that are known to be what was written: each holds a SHA-256 of the rest of it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elsa.base import files, strict_json

_SEAL = "sha256"


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Replaces the file.

    Raises:
      ValueError, TypeError: for a field that is not plain, finite JSON, naming file and field.
      files.WriteError: the old file is untouched.
    """
    held = {**value, _SEAL: _digest(value, path.name)}
    files.replace(path, f"{strict_json.dumps(held, where=path.name, indent=2)}\n".encode())


def read(path: Path) -> dict[str, Any]:
    """What the file holds; earlier versions wrote no digest, and their files are taken as they are.

    Raises:
      ValueError: where it is no JSON object, or not what was written.
      OSError: where it cannot be read.
    """
    value = strict_json.loads_object(path.read_bytes())
    seal = value.pop(_SEAL, None)
    if seal is not None and seal != _digest(value, path.name):
        raise ValueError("it is not what was written (its sha256 is another one)")
    return value


def _digest(value: Mapping[str, Any], where: str) -> str:
    return hashlib.sha256(strict_json.dumps(value, where=where).encode()).hexdigest()
