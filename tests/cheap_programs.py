"""What makes the tests' thousands of small programs cheap, in jax itself, not in what they compute.

jax 0.10 compiles an identity for each shape of a NumPy array that becomes one of jax's, makes a
context with all its dialects, half of the time of lowering, for each program, and writes what it
keeps of compiled programs in place, so that another process may read half a file. None of it has a
public switch: where another jax has not the name, nothing is changed. Processes that tests start
run jax as it is.
"""

import functools
import os
import tempfile
from pathlib import Path

import jax
import numpy as np
from jax._src import compilation_cache, core
from jax._src.interpreters import mlir
from jax._src.lib.mlir import ir

_new_context = getattr(mlir, "make_ir_context", None)


def share_contexts() -> None:
    """One context for all programs until `forget_context`, as it keeps all their constants."""
    if _new_context is not None:
        mlir.make_ir_context = _context


def forget_context() -> None:
    """The programs that are lowered from now on get another context."""
    _shared_context.cache_clear()


@functools.cache
def _shared_context():
    return _new_context()


def _context():
    """The shared one, but for a program within another, which jax would put inside that one."""
    try:
        within = ir.Context.current is not None
    except ValueError:  # there is none
        within = False
    return _new_context() if within else _shared_context()


def copy_arrays() -> None:
    """NumPy arrays become jax's by a copy, without a program."""
    if not hasattr(core, "stage_p"):
        return
    staged = core.stage_p.impl

    def stage(value):
        # jax's own kind of NumPy array holds Python's numbers, too, whose dtype yields
        if isinstance(value, jax.Array | int | float | complex) or getattr(
            value, "weak_type", False
        ):
            return staged(value)
        return jax.device_put(np.array(value))

    core.stage_p.def_impl(stage)


# Twenty times what the whole suite compiles.
_KEPT_BYTES = 2_000_000_000


class _Folder:
    """Compiled programs by their keys, each there whole or not at all, as workers share them."""

    def __init__(self, path: Path):
        self._path = path

    def get(self, key):
        try:
            return (self._path / key).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key, value):
        with tempfile.NamedTemporaryFile(dir=self._path, delete=False) as file:
            file.write(value)
        os.replace(file.name, self._path / key)


def keep_programs(path: Path) -> None:
    """What XLA compiles is kept in a folder, for the next run and the other workers of this one.

    A key is all that a program depends on: its operations, the flags of XLA, jaxlib.
    """
    if not hasattr(compilation_cache, "get_file_cache"):
        return
    compilation_cache.get_file_cache = lambda place: (_Folder(path), place)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def forget_many(path: Path) -> None:
    """Empties that folder where other versions of the code have left much in it."""
    if sum(file.stat().st_size for file in path.iterdir()) > _KEPT_BYTES:
        for file in path.iterdir():
            file.unlink()
