"""Tasks as pytrees: numbers and arrays are leaves, sizes and names are fixed."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax

from elsa.base import checks

Class = TypeVar("Class", bound=type)


def task(static: tuple[str, ...]) -> Callable[[Class], Class]:
    """Registers a frozen dataclass as a pytree, so that tasks can be stacked, mapped and traced.

    The fields named in `static` are part of the tree's structure; all others are leaves, those
    derived in __post_init__ included. Putting a tree together again does not run __post_init__:
    leaves may then be tracers, None or any other object that jax puts there, and derived leaves are
    carried along, not computed again.

        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)
        jax.vmap(lambda task: task.sample(key, batch))(stacked)

    samples every task with the same key; what does not depend on a leaf is drawn once.

    Args:
      static: names of fields with hashable values.

    Raises:
      TypeError: for a class that is not a frozen dataclass.
      ValueError: where a static name is not a field.
    """

    checks.instance("task", tuple | list, "a tuple of names of fields", static=static)
    for name in static:
        checks.instance("task", str, "names of fields", static=name)

    def register(cls: Class) -> Class:
        if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"task: {cls.__name__} must be a frozen dataclass")
        fields = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in static if name not in fields]
        if unknown:
            raise ValueError(f"task: {cls.__name__} has no field {unknown[0]!r}, it has {fields}")
        leaves = tuple(name for name in fields if name not in static)
        keys = tuple(jax.tree_util.GetAttrKey(name) for name in leaves)

        def flatten(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            return (
                tuple(getattr(value, name) for name in leaves),
                tuple(getattr(value, name) for name in static),
            )

        def flatten_with_keys(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            children, fixed = flatten(value)
            return tuple(zip(keys, children, strict=True)), fixed

        def unflatten(fixed: tuple[Any, ...], children: Iterable[Any]) -> Any:
            value = object.__new__(cls)
            for name, entry in zip((*leaves, *static), (*children, *fixed), strict=True):
                object.__setattr__(value, name, entry)
            return value

        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
        return cls

    return register
