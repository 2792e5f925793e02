"""One valid call of a public callable, whose arguments are then spoiled one at a time."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Made:
    """An argument made anew for every case, because a call changes it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


class Call(NamedTuple):
    """A callable and arguments that it takes, by name."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    def run(self, **changed: Any) -> Any:
        given = {**self.arguments, **changed}
        return self.function(
            **{name: v.make() if isinstance(v, Made) else v for name, v in given.items()}
        )


def call(function: Callable[..., Any], /, **arguments: Any) -> Call:
    return Call(function, arguments)
