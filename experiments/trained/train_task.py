"""The task of the `train` experiment: a table, or a law of prompts with numbers of its own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks
from elsa.base.tables.names import column_names
from experiments.harness import table_keys
from experiments.trained import texts

TABLE = "table"
_LARGEST, _SMALLEST = 2.0, 0.25  # eigenvalues of the covariates' covariance, unless it is said
_FREE = {"noise_var": 0.25, "cov_x": (), "covariates": "normal"}  # of the config; not all have them


def settings(config: ConfigDict) -> dict[str, Any]:
    """The task, as `tasks.build` takes it: of the config's table where it names a file, or else of
    its numbers; what a task does not have is left out where the config has not set it.

    Raises:
      ValueError: for a column without a file, for numbers that are set and that the task does not
        have, and for a covariance of another size than dim.
    """
    given: dict[str, Any] = config.task.to_dict()
    own = texts.fields(given.pop("fields"), "config.task.fields")
    table_keys.refuse_without_a_file("train", config.data)
    if is_table(config):
        keys = ("path", "target", "separator", "decimal")
        file = {key: config.data[key] for key in keys if config.data.path and config.data[key]}
        if config.data.drop:
            file["drop"] = column_names(config.data.drop)
        sizes = {"context_length": given["context_length"], "held_out": config.data.held_out}
        return {"name": TABLE, **sizes, **file, **own}
    cls = tasks.TASKS.get(given["name"])
    if cls is None:
        return given  # `tasks.build` says what there is
    if getattr(cls, "prompt_kind", tasks.Prompt) is not tasks.Prompt:
        raise ValueError(
            f"task.name={given['name']!r} asks for a matrix, and what is trained here is compared "
            "with ridge regression, a number; configs/products.py trains it"
        )
    known = names_of(cls)
    _refuse_others(given, known)
    kept = {name: value for name, value in given.items() if name not in _FREE or name in known}
    if "cov_x" in kept and "cov_x" not in own:
        kept["cov_x"] = eigenvalues("config.task.cov_x", kept["cov_x"], given["dim"])
    found = {**kept, **own}
    missing = [] if hasattr(cls, "from_config") else [n for n in _needed(cls) if n not in found]
    if missing:
        said = " ".join(f"{name}=.." for name in missing)
        raise ValueError(
            f"task.name={given['name']!r} needs {', '.join(missing)}, as --config.task.fields="
            f"'{said}'"
        )
    return found


def names_of(cls: Any) -> set[str]:
    """The numbers that a config may give a task."""
    own = {field.name for field in dataclasses.fields(cls) if field.init}
    return own | {*getattr(cls, "sweeps", ())}


def _needed(cls: Any) -> list[str]:
    """Fields of a task without a default."""
    empty = dataclasses.MISSING
    fields = [field for field in dataclasses.fields(cls) if field.init]
    return [f.name for f in fields if f.default is empty and f.default_factory is empty]


def is_table(config: ConfigDict) -> bool:
    """Whether contexts are cut from a table."""
    return bool(config.data.path) or config.task.name == TABLE


def eigenvalues(key: str, given: Any, dim: int) -> Any:
    """The covariance that a config gives: one number for each of d covariates, or one for all.

    None given are a geometric row from 2 down to 1/4; a matrix stays as it is.

    Raises:
      ValueError: for another number of them.
    """
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not values:
        row = np.geomspace(_LARGEST, _SMALLEST, dim) if dim > 1 else np.ones(1)
        return tuple(float(f"{value:.6g}") for value in row)
    if len(values) not in (1, dim):
        raise ValueError(
            f"{key} must have one number for each of the dim={dim} covariates, or one for all of "
            f"them, got {given!r}; '(1,)' is the identity, '()' goes from 2 down to 1/4"
        )
    return values * dim if len(values) == 1 < dim and np.ndim(values[0]) == 0 else values


def _refuse_others(given: Mapping[str, Any], known: set[str]) -> None:
    """Refuses numbers that are set, and that the task does not have."""
    wrong = [
        f"task.{name}={given[name]!r}"
        for name, default in _FREE.items()
        if name not in known and given[name] != default
    ]
    if wrong:
        raise ValueError(
            f"task.name={given['name']!r} does not take {' and '.join(wrong)}; it takes "
            f"{', '.join(sorted(known))}, those that are no keys of the config as "
            "task.fields='alignment=0.5'"
        )
