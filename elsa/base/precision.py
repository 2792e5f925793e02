"""How matrix products are rounded: one policy for every device.

A product of float32 matrices is one of float32 numbers on a CPU only. An accelerator rounds the
factors first unless it is asked not to, to 10 bits (TF32 of NVIDIA GPUs) or 7 (bfloat16 of TPUs),
which leaves an error of 1e-3 where float32 has 1e-7. So all that this library calls exact requests
full precision itself, whatever the caller's default; where that is a choice, it is an argument:

    functions and stacks that are exact      `exact`, as a decorator
    functions with an argument `precision`   `products_at`, around their products
    modules with an attribute `precision`    `at_own_precision`, on their calls

The precision in force while a product is traced goes into its jaxpr, and from there into every
transformation, a gradient taken later included. The caller's own code runs at the
caller's precision.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import jax

from elsa.base.values import PRECISIONS as PRECISIONS

EXACT = "highest"  # products of the numbers as they are

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def known(where: str, precision: Any, *, name: str = "precision") -> str:
    """The precision, if it is one.

    Raises:
      ValueError: for a name that is not on the list.
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ValueError(f"{where}: {name} must be one of {list(PRECISIONS)}, got {precision!r}")
    return str(precision)


def products_at(where: str, precision: str) -> contextlib.AbstractContextManager[None]:
    """Products that are formed or traced within the `with` block have this precision.

    Raises:
      ValueError: as `known`.
    """
    wanted: contextlib.AbstractContextManager[None]
    wanted = jax.default_matmul_precision(known(where, precision))
    return wanted


def exact(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function with all its products, and those of what it calls, in full precision."""

    @functools.wraps(function)
    def in_full(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.default_matmul_precision(EXACT):
            return function(*args, **kwargs)

    return in_full


def at_own_precision(
    method: Callable[Concatenate[Any, _Arguments], _Result],
) -> Callable[Concatenate[Any, _Arguments], _Result]:
    """The method with all its products at its module's `precision`."""

    @functools.wraps(method)
    def at_own(module: Any, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.default_matmul_precision(module.precision):
            return method(module, *args, **kwargs)

    return at_own
