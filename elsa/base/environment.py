"""What the bits of a computation depend on beside its settings: versions, device, switches.

Measured on a training run of float32 (tests/training/test_environment.py repeats it): jax's x64
switch draws other numbers, and XLA without its optimisations, for another set of instructions or
with fast math, rounds otherwise. Neither the threads of a CPU nor the number of its cores did, nor
do versions of Python and NumPy, with which no array of a run is computed. They are written down
all the same, and so is the commit of this code, which says little of what it changed.
"""

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from elsa.base import devices, strict_json

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "elsa")
_ON_PYPI = {"elsa": "elsa-icl"}  # where the name is another project's
_SWITCHES = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_exec_time_optimization_effort",
    "jax_numpy_dtype_promotion",
    "jax_optimization_level",
    "jax_random_seed_offset",
    "jax_threefry_partitionable",
)
# of XLA_FLAGS: where the work is done and what is written about it, not what is computed
_NO_RESULT = ("--xla_dump", "--xla_cpu_multi_thread_eigen", "--xla_force_host_platform_device")
# Whoever compiles decides about the order of a sum and about fused products. A list ends in what
# a record holds beside the entries above, of which those that stand in one record alone count not.
_RESULTS = (
    ("x64",),
    ("device", "platform"),
    ("device", "kind"),
    ("device", "instructions"),
    ("device", "processes"),
    ("device", "used"),
    *(("versions", package) for package in ("jax", "jaxlib", "flax", "optax")),
    *(("switches", name) for name in _SWITCHES),
    ("xla_flags",),
)
# What a record holds that is from before there was the entry.
_BEFORE: dict[tuple[str, ...], int] = {("device", "used"): 1, ("device", "processes"): 1}
_BESIDE = (
    ("commit",),
    ("uncommitted_changes",),
    *(("versions", package) for package in ("elsa", "numpy", "python")),
    ("device", "count"),
    ("host", "cpu_count"),
)


class Difference(NamedTuple):
    """The first entry in which two environments differ.

    key: dotted.
    before, now: as JSON.
    """

    key: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.key} was {self.before}, now {self.now}"

    @property
    def way_back(self) -> str:
        """How to have the environment of before again, in words."""
        group, _, name = self.key.partition(".")
        if self.key == "device.used":
            return f"give --devices={self.before} (in Python, base.devices.limited({self.before}))"
        if self.key == "device.processes":
            return f"start it as {self.before} (on the command line --processes={self.before})"
        if self.key == "x64":
            return f"set JAX_ENABLE_X64={int(self.before == 'true')}"
        if group == "versions":
            return f"install {name}=={self.before.strip(chr(34))}"
        if group in ("switches", "xla_flags"):
            variable, value = (name or group).upper(), json.loads(self.before)
            if value in (None, []):
                return f"unset {variable}"
            flags = f'"{" ".join(value)}"' if isinstance(value, list) else self.before
            return f"set {variable} to {flags}"
        return "go on where it was begun"


def environment() -> dict[str, Any]:
    """The environment of this process, as plain JSON values."""
    with devices.of_all_processes():
        used = devices.chosen()
    device = used[0]
    commit, changes = _own_commit()
    values = jax.config.values
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "commit": commit,
        "uncommitted_changes": changes,
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "used": len(used),
            "processes": jax.process_count(),
            **({"instructions": instructions()} if device.platform == "cpu" else {}),
        },
        "host": {"system": platform.platform(), "cpu_count": os.cpu_count()},
        "x64": bool(values["jax_enable_x64"]),
        "switches": {name: _plain(values[name]) for name in _SWITCHES if name in values},
        "xla_flags": _xla_flags(),
    }


def changes_results(before: Mapping[str, Any], now: Mapping[str, Any]) -> Difference | None:
    """The first difference between two environments that may change bits; None without one.

    x64 and the other switches of jax choose what is drawn and how it is rounded. Device, kind and
    instructions of a CPU, how many devices and processes are used, jaxlib and flags choose the
    compiled program, and with it the order of sums; jax, flax and optax choose what is compiled.
    Entries that one of them lacks, written by an older version, do not count, but for devices and
    processes: it used one.
    """
    return _first(before, now, _RESULTS)


def beside_results(before: Mapping[str, Any], now: Mapping[str, Any]) -> Difference | None:
    """The first difference that changes no bits, or need not: commit, cores, other versions."""
    return _first(before, now, _BESIDE)


def instructions() -> str:
    """The vectors of this CPU, which decide how XLA splits sums and whether it fuses products; the
    machine's name alone where the system does not list them. XLA uses 8 numbers of float32 of wider
    ones too, so that AVX-512 counts as AVX2."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    known = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    widest = [name for name in ("avx2", "avx", "sse4_2") if name in known]
    return " ".join([platform.machine(), *widest[:1], *(["fma"] if "fma" in known else [])])


def commit_of(root: Path) -> tuple[str | None, bool | None]:
    """The commit of a checkout, and whether it has other changes; None for a folder that is none.

    A package that is installed somewhere inside another repository has no commit.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    changes = _git(root, "status", "--porcelain")
    return _git(root, "rev-parse", "HEAD"), None if changes is None else bool(changes)


@functools.cache
def _own_commit() -> tuple[str | None, bool | None]:
    """Asked once: the code that a process runs is the one it has imported."""
    return commit_of(Path(__file__).resolve().parents[2])


def _first(
    before: Mapping[str, Any], now: Mapping[str, Any], entries: tuple[tuple[str, ...], ...]
) -> Difference | None:
    for path in entries:
        there, here = _at(before, path), _at(now, path)
        if before and there is _ABSENT:
            there = _BEFORE.get(path, _ABSENT)
        if there is not _ABSENT and here is not _ABSENT and there != here:
            texts = (strict_json.dumps(value, where="environment") for value in (there, here))
            return Difference(".".join(path), *texts)
    return None


_ABSENT = object()


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _xla_flags() -> list[str]:
    """Those that may change results; of one that is given twice the last counts."""
    given = {flag.partition("=")[0]: flag for flag in os.environ.get("XLA_FLAGS", "").split()}
    return sorted(flag for flag in given.values() if not flag.startswith(_NO_RESULT))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(_ON_PYPI.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
