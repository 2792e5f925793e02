"""`jax.jit` as a decorator that keeps a function's types."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

_Function = TypeVar("_Function", bound=Callable[..., Any])


def jitted(*static: str) -> Callable[[_Function], _Function]:
    """Compiles a function for each value of the arguments named; to mypy it stays what it is."""
    return cast(
        Callable[[_Function], _Function], functools.partial(jax.jit, static_argnames=static)
    )
