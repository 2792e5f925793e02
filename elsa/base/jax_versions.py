"""What differs between the versions of jax, 0.8 and newer, in how they write a program down.

Everything that reads jaxprs asks here wherever an answer depends on the version:

    a program                 Jaxpr or ClosedJaxpr; from jax 0.11 one class is both
    the operands of a scan    num_consts and num_carry; from jax 0.11 the tree `ft_in`
    an equation that calls    one primitive for each transform, the program under a key of its own;
                              from jax 0.12 some jax.numpy functions are one opaque equation, which
                              knows its program, and a polynomial is one more
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

_PROGRAM_OF = {
    "jit": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "call": "call_jaxpr",  # this and the next until jax 0.10
    "closed_call": "call_jaxpr",
}


def opened(program: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr of a program, which lists `constvars` and `eqns`, and the values of `constvars`."""
    return getattr(program, "jaxpr", program), getattr(program, "consts", ())


def scan_groups(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried from turn to turn.

    The operands that follow are stacked: each turn sees one row of them.

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
    if name in _PROGRAM_OF:
        return params[_PROGRAM_OF[name]]
    if name == "call_hi_primitive":
        return jax.make_jaxpr(_flat(params["_prim"]))(*(v.aval for v in eqn.invars))
    if name == "polynomial":
        return jax.make_jaxpr(_horner)(*(v.aval for v in eqn.invars))
    return None


def _flat(primitive: Any) -> Any:
    """What a primitive with a program of its own does, from operands in a row."""

    def run(*operands: Any) -> list[Any]:
        return jax.tree.leaves(primitive.expand(*jax.tree.unflatten(primitive.in_tree, operands)))

    return run


def _horner(x: Any, *coefficients: Any) -> Any:
    """coefficients[0] + x coefficients[1] + x^2 coefficients[2] + ..., the lowest degree first."""
    *rest, total = coefficients
    for coefficient in reversed(rest):
        total = total * x + coefficient
    return total
