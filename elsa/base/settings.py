"""The type of a config below the drivers, values by name; and those that change no result."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

# of a group `train`: when a checkpoint is written, how many stay, and where losses are shown
_NO_RESULT = ("checkpoint_seconds", "keep", "tracker")


@runtime_checkable
class Settings(Protocol):
    """What `dict` takes: a mapping, or a ConfigDict, which to Python is not a mapping."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, name: str, /) -> Any: ...


def for_results(config: Any) -> Any:
    """A config of nested dicts without the settings that change no result."""
    return _without(config) if isinstance(config, Mapping) else config


def taken_over(there: Any, asked: Any) -> Any:
    """A config of nested dicts, with another one's settings of the kind that change no result."""
    if not isinstance(there, Mapping) or not isinstance(asked, Mapping):
        return there
    taken = {name: taken_over(inner, asked.get(name)) for name, inner in there.items()}
    if isinstance(there.get("train"), Mapping) and isinstance(asked.get("train"), Mapping):
        free = {name: asked["train"][name] for name in _NO_RESULT if name in asked["train"]}
        taken["train"] = {**for_results({"train": taken["train"]})["train"], **free}
    return taken


def _without(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: for_results(inner) for name, inner in config.items()}
    if isinstance(kept.get("train"), dict):
        kept["train"] = {k: v for k, v in kept["train"].items() if k not in _NO_RESULT}
    return kept
