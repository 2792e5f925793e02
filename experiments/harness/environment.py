"""Where and with what a run was computed."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from elsa.base.plain import decoded

_PACKAGES = ("jax", "jaxlib", "flax", "numpy", "elsa")


def environment(config: Mapping[str, Any], command: str) -> dict[str, Any]:
    """What env.json records: versions, commit, device, precision, seeds, time and command.

    Args:
      config: the resolved config, whose dtypes and seeds are repeated here.
      command: the command line that repeats the run.
    """
    devices = jax.devices()
    return {
        "time_started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": decoded(command),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        **_commit(),
        "device": {
            "platform": devices[0].platform,
            "kind": devices[0].device_kind,
            "count": len(devices),
        },
        "host": {"system": platform.platform(), "cpu_count": os.cpu_count()},
        "x64": jnp.result_type(float).itemsize == 8,
        **{key: config[key] for key in ("dtype", "dtypes", "seed", "seeds") if key in config},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit this code is from, or None where it does not run from a checkout of its own."""
    root = Path(__file__).resolve().parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        return {"commit": None, "uncommitted_changes": None}
    changes = _git(root, "status", "--porcelain")
    return {
        "commit": _git(root, "rev-parse", "HEAD"),
        "uncommitted_changes": None if changes is None else bool(changes),
    }


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None
