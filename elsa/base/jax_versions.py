"""Differences between versions of jax, 0.8 and newer, in how a program is represented.

Everything that reads jaxprs asks here wherever an answer depends on the version:

    a program                 Jaxpr or ClosedJaxpr; from jax 0.11 one class is both
    the operands of a scan    num_consts and num_carry; from jax 0.11 the tree `ft_in`
    an equation that calls    a primitive for each transform, the program under one of two names;
                              from jax 0.12 some jax.numpy functions are one opaque equation, which
                              knows its program, and a polynomial is one more
    an equation's parameters  for computing it once more; until jax 0.8 beside inner functions
    an equation's line        until jax 0.8 of whoever called a cached library function first
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.extend import source_info_util

_CALLS = {"jit", "remat2", "custom_jvp_call", "custom_vjp_call", "eval_jaxpr"}
_CALLS |= {"call", "closed_call"}  # until jax 0.10


def opened(program: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr of a program, which lists `constvars` and `eqns`, and the values of `constvars`."""
    return getattr(program, "jaxpr", program), getattr(program, "consts", ())


def scan_groups(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried between iterations.

    The operands that follow are stacked: each iteration sees one row of them.

    Args:
      params: the parameters of a `scan` equation.
    """
    if "ft_in" in params:  # jax 0.11
        consts, carry, _ = params["ft_in"].unpack()
        return len(consts), len(carry)
    return params["num_consts"], params["num_carry"]


def called(eqn: Any) -> Any | None:
    """The program of an equation that only calls one with its operands; None for any other."""
    name, params = eqn.primitive.name, eqn.params
    if name in _CALLS:
        return params["call_jaxpr"] if "call_jaxpr" in params else params["jaxpr"]
    if name == "call_hi_primitive":
        return jax.make_jaxpr(_flat(params["_prim"]))(*(v.aval for v in eqn.invars))
    if name == "polynomial":
        return jax.make_jaxpr(_horner)(*(v.aval for v in eqn.invars))
    return None


def evaluated(eqn: Any, operands: Sequence[Any], **changed: Any) -> Sequence[Any]:
    """What an equation computes from these operands, now, with some parameters changed."""
    bound = eqn.primitive.get_bind_params({**eqn.params, **changed})
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a pair until jax 0.8
    out = eqn.primitive.bind(*functions, *operands, **params)
    return out if eqn.primitive.multiple_results else [out]


def user_line(eqn: Any) -> tuple[str, int] | None:
    """File and line of the user's code that made an equation; None inside a library call."""
    shown = source_info_util.summarize(eqn.source_info)
    match = re.match(r"^(.*?):(\d+)(?::\d+)?(?: \(.*\))?$", shown)
    if match is None or match[1] == __file__:  # the latter: an equation that `called` opened
        return None
    line = match[1], int(match[2])
    for frame in eqn.source_info.traceback.frames:  # innermost first
        if (frame.file_name, frame.line_num) == line:
            return line
        if frame.function_name == "_create_pjit_jaxpr":  # of jax 0.8: outside is the first caller
            return None
    return line


def _flat(primitive: Any) -> Any:
    """What a primitive with a program of its own computes, from a flat list of operands."""

    def run(*operands: Any) -> list[Any]:
        return jax.tree.leaves(primitive.expand(*jax.tree.unflatten(primitive.in_tree, operands)))

    return run


def _horner(x: Any, *coefficients: Any) -> Any:
    """coefficients[0] + x coefficients[1] + x^2 coefficients[2] + ..., the lowest degree first."""
    *rest, total = coefficients
    for coefficient in reversed(rest):
        total = total * x + coefficient
    return total
