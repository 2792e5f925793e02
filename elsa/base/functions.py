"""Functions as arguments: that they can be called, before they are."""

import inspect
from collections.abc import Callable
from typing import Any

from elsa.base import checks


def function_of_one(where: str, what: str, **functions: Any) -> None:
    """Refuses anything but functions that can be called with one argument."""
    for name, function in functions.items():
        checks.instance(where, Callable, what, **{name: function})
        try:
            inspect.signature(function).bind(None)
        except TypeError as error:
            raise TypeError(
                f"{where}: {name} must take one argument, as {what}: {error}"
            ) from error
        except ValueError:  # a function in C whose signature is unknown
            pass
