"""The type of a config below the drivers: values by name."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Settings(Protocol):
    """What `dict` takes: a mapping, or a ConfigDict, which to Python is not a mapping."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, name: str, /) -> Any: ...
