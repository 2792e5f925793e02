"""Checks that the fields of several tasks share, and how a config gives them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from elsa.base import checks

_Task = TypeVar("_Task")
_COVARIANCES = {"cov_x", "cov_task"}


def common(where: str, dim: int, context_length: int, **numbers: Any) -> None:
    """Refuses sizes that are not integers above 0, and numbers that are not scalars from 0 on."""
    checks.size(where, dim=(dim, 1), context_length=(context_length, 1))
    for name, number in numbers.items():
        checks.shapes(where, **{name: (number, "")})
        checks.finite(where, **{name: number})
        checks.at_least(where, **{name: (number, 0.0)})


def draw(task: Any, key: Any, batch: int) -> None:
    """Refuses anything but a single key and an integer batch, within jit and vmap, too."""
    where = f"{type(task).__name__}.sample"
    checks.single_key(where, key)
    checks.size(where, batch=(batch, 1))


def sized(where: str, name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Refuses an array of another shape, and anything but real numbers."""
    checks.real(where, **{name: array})
    if np.shape(array) != shape:
        raise ValueError(f"{where}: {name} must have shape {shape}, got {np.shape(array)}")


def of_config(cls: type[_Task], where: str, given: Mapping[str, Any]) -> _Task:
    """The task of that class whose fields a config gives.

    Lists and tuples become float arrays; a covariance of one axis is a diagonal.

    Raises:
      KeyError: for an unknown field, with the known and the nearest ones.
      ValueError: where a field without a default is missing, or as the class says.
      TypeError: for a class that is no dataclass; as the class says.
    """
    checks.mapping(where, "a mapping of fields to values", given=given)
    kind: Any = cls
    if not dataclasses.is_dataclass(kind):
        name = getattr(kind, "__name__", kind)
        raise TypeError(
            f"{where}: its class {name} is no dataclass: decorate it with "
            "@tasks.task(static=(...)), naming the fields that fix shapes, over "
            "@dataclasses.dataclass(frozen=True)"
        )
    declared = [field for field in dataclasses.fields(kind) if field.init]
    optional = [field.name for field in declared if field.default is not dataclasses.MISSING]
    complete = [*given, *(field for field in optional if field not in given)]
    checks.names(where, "field", complete, [field.name for field in declared])
    values = {
        field: _array(where, field, value) if isinstance(value, list | tuple) else value
        for field, value in given.items()
    }
    for field in _COVARIANCES & values.keys():
        if np.ndim(values[field]) == 1:
            values[field] = np.diag(values[field])
    return cls(**values)


def _array(where: str, field: str, value: Any) -> np.ndarray:
    checks.real(where, **{field: value})
    return np.asarray(value, dtype=np.float64)
