"""`jax.jit` as decorators that keep a function's types."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

from elsa.base.numbers import is_concrete

_Function = TypeVar("_Function", bound=Callable[..., Any])


def jitted(*static: str) -> Callable[[_Function], _Function]:
    """Compiles a function for each value of the arguments named; to mypy it stays what it is."""
    return cast(
        Callable[[_Function], _Function], functools.partial(jax.jit, static_argnames=static)
    )


def at_once(function: _Function) -> _Function:
    """One program for a function of arrays of jax's, where jax would have one for each operation.

    Under a transformation of jax its operations stand in the caller's program, as they are.
    """
    program = jax.jit(function)

    @functools.wraps(function)
    def call(*arrays: jax.Array) -> Any:
        return (program if all(map(is_concrete, arrays)) else function)(*arrays)

    return cast(_Function, call)
