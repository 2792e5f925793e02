"""What makes the tests' thousands of small programs cheap, in jax itself, not in what they compute.

jax 0.10 compiles an identity for each shape of a NumPy array that becomes one of jax's, and makes a
context with all its dialects, half of the time of lowering, for each program. Neither has a public
switch: where another jax has not the name, nothing is changed. Processes that tests start run jax
as it is.
"""

import functools

import jax
import numpy as np
from jax._src import core
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
