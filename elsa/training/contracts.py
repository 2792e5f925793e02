"""Requirements of training on a task and a model, the user's own included, checked beforehand."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from elsa import models, tasks
from elsa.tasks import CountedPrompt, GramPrompt, PairPrompt
from elsa.training import kinds
from elsa.training.errors import TrainingError

_BATCH = 3  # of the prompts whose shapes are checked; nothing is drawn


def check_task(name: str, task: Any) -> None:
    """Refuses a task that lacks what every task has, or is not a pytree.

    Raises:
      TypeError: naming the task, what it lacks and what to add.
    """
    where = f"train: task {name!r} ({type(task).__name__})"
    kind = kinds.of(task)
    *needs, sample = kinds.KINDS[kind].needs
    for attribute in (*needs, sample):
        if not hasattr(task, attribute):
            raise TypeError(
                f"{where} has no {attribute}; a task has {', '.join(needs)} and {sample}(key, "
                f"batch) -> tasks.{kind.__name__}"
            )
    if any(leaf is task for leaf in jax.tree.leaves(task)):
        raise TypeError(
            f"{where} is no pytree: decorate its class with @tasks.task(static=(...)), naming the "
            "fields that fix shapes"
        )


def check_prompts(name: str, sampler: str, draw: Any, point: Any) -> None:
    """Refuses prompts whose shapes differ from the task's sizes; a loss would broadcast them.

    Args:
      sampler: as `sampling.choose` gives it.
      draw: (point, key, batch) -> prompts.
      point: the task, at the longest context, and how much of it counts.

    Raises:
      TypeError: for anything but a Prompt. ValueError: naming the part and both shapes.
    """
    _check_shapes(name, sampler, draw, jax.tree.structure(point), _Held(point))


class _Held:
    """A value that a cache leaves out of its key."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=32)  # a task's shapes follow from its structure: traced once
def _check_shapes(name: str, sampler: str, draw: Any, structure: Any, held: _Held) -> None:
    task = held.value.task
    found = jax.eval_shape(
        lambda point, key: draw(point, key, _BATCH), held.value, jax.random.key(0)
    )
    drawn = {"counted": CountedPrompt, "gram": GramPrompt, "pairs": PairPrompt}
    kind = drawn.get(sampler) or kinds.of(task)
    where = f"train: sample of task {name!r} ({type(task).__name__})"
    if not isinstance(found, kind):
        raise TypeError(f"{where} must return a tasks.{kind.__name__}, got {type(found).__name__}")
    parts = kinds.KINDS[kind].parts(found)
    expected = {part: (_BATCH, *shape) for part, shape in kinds.KINDS[kind].shapes(task).items()}
    if parts.keys() != expected.keys():
        raise ValueError(f"{where} must have {list(expected)}, got {list(parts)}")
    for part, shape in expected.items():
        came = parts[part].shape
        if came != shape:
            raise ValueError(
                f"{where}: for batch={_BATCH}, context_length={task.context_length}, "
                f"dim={task.dim}, {part} must have shape {shape}, got {came}"
            )


def check_model(name: str, cls: Any) -> None:
    """Refuses a class that is no model: one that cannot be built, or not called with prompts.

    Raises:
      TypeError: naming the class, what it lacks and what to add.
    """
    if not isinstance(cls, type) or not issubclass(cls, nnx.Module):
        got = cls.__name__ if isinstance(cls, type) else type(cls).__name__
        raise TypeError(f"train: model {name!r} must be a class of flax.nnx.Module, got {got}")
    where = f"train: model {name!r} ({cls.__name__})"
    takes: Any = inspect.signature(cls.__init__).parameters
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in takes.values())
    if cls.__init__ is object.__init__ or ("rngs" not in takes and not anything):
        raise TypeError(
            f"{where} cannot be built: add __init__(self, dim, *, rngs); rngs draws the weights, "
            "and dim, context_length, scale, dtype and precision are given where they are named"
        )
    if not any("__call__" in vars(base) for base in cls.__mro__):
        raise TypeError(
            f"{where} cannot be called: add __call__(self, prompt), which returns a prediction "
            "for each prompt of the batch"
        )
    try:
        inspect.signature(cls.__call__).bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"{where} must be called with the prompts alone, __call__(self, prompt), got "
            f"__call__{inspect.signature(cls.__call__)}"
        ) from error


def check_answer(model: Any, found: Any) -> None:
    """Refuses anything but an array of real numbers as a model's predictions.

    Raises:
      TypeError: naming the model and what came.
    """
    said = f"train: {type(model).__name__} must return an array of predictions, one for each prompt"
    if not hasattr(found, "shape") or not hasattr(found, "dtype"):
        raise TypeError(f"{said}, got {type(found).__name__}")
    if np.issubdtype(found.dtype, np.complexfloating):
        raise TypeError(f"{said}, real, got {found.dtype}")


def check_predictions(model: Any, came: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuses predictions that are not one number, or matrix, for each prompt.

    Raises:
      ValueError: naming the model and both shapes.
    """
    if came != expected:
        raise ValueError(
            f"train: {type(model).__name__} must return one prediction for each prompt, of shape "
            f"{expected}, got {came}"
        )


def check_watched(found: Any) -> None:
    """Refuses results of `watch`, [seeds, points] each, other than a flat dict of real numbers.

    Raises:
      TypeError: for anything but a dict, or other entries. ValueError: for an array.
    """
    said = "fit: watch must return a flat dict of name -> real number"
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise TypeError(f"{said}, got {jax.tree.map(lambda leaf: leaf.shape[2:], found)}")
    for name, value in found.items():
        if not hasattr(value, "shape") or np.issubdtype(value.dtype, np.complexfloating):
            raise TypeError(f"{said}, got {name!r}: {value}")
        if value.shape[2:]:
            raise ValueError(f"{said}, got {name!r} of shape {value.shape[2:]}")


def check_registered(where: str, task: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Refuses a run whose own task or model this process does not know by name.

    Raises:
      TrainingError: saying how it is registered.
    """
    for kind, named, known, table in (
        ("task", task.get("name"), tasks.TASKS, "tasks.TASKS"),
        ("model", model.get("name"), models.MODELS, "models.MODELS"),
    ):
        if named not in known:
            raise TrainingError(
                f"{where}: its {kind} is {named!r}, which this process does not know; set "
                f"elsa.{table}[{named!r}] to its class first"
            )
