"""The points of a sweep as one pytree that a compiled program is mapped over."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elsa import models, tasks
from elsa.base import checks
from elsa.training import contracts
from elsa.training.settings import RunSettings

_OF_TRAINING = ("learning_rate",)


class Point(NamedTuple):
    """What may differ between two models of a sweep; sizes that fix shapes do not.

    task: the distribution of prompts, at the longest context.
    length: context rows that count, the last ones, and nothing where all do.
    learning_rate: Adam's, at its highest.
    model: arguments of the model.
    """

    task: Any
    length: Any
    learning_rate: Any
    model: dict[str, Any]


class Sweep(NamedTuple):
    """All points, stacked.

    names: axis -> value, for each point.
    points: a Point whose leaves have a leading axis where they differ between points.
    axes: the same tree, 0 where a leaf has that axis, and None where all points share it, so that
      what does not depend on the point is computed once.
    model: settings of the model, sizes as the largest of the sweep.
    """

    names: list[dict[str, Any]]
    points: Point
    axes: Point
    model: dict[str, Any]

    def __len__(self) -> int:
        return len(self.names)


def make_sweep(settings: RunSettings) -> Sweep:
    """Builds every point's task and stacks what differs.

    Raises:
      KeyError: for an axis that is not a field of the task, nor of training or the model.
      ValueError, TypeError: as the tasks say; for an axis that is a name or fixes shapes, a length
        or rank that is not a number of rows or columns, for lengths of a task that cannot be cut.
    """
    _check_axes(settings)
    names = settings.points
    lengths = settings.sweep.get("context_length", ())
    of_model = _of_model(settings)
    for axis, least in {"context_length": 1, **dict.fromkeys(of_model, 0)}.items():
        for value in settings.sweep.get(axis, ()):
            checks.integer("sweep", **{axis: (value, least)})
    if lengths and not _cuts(settings):
        raise ValueError(
            f"sweep: context_length cannot vary for {settings.task['name']!r}, because its rows "
            "hold what they promise only all together; train each length in a run of its own"
        )
    longest = {"context_length": max(lengths)} if lengths else {}
    points = [_point(settings, name, longest) for name in names]
    model = dict(settings.model)
    for axis in of_model:
        model[f"max_{axis}"] = max(settings.sweep[axis])
        model.pop(axis, None)
    for axis in _traced(settings):
        checks.finite("sweep", **{axis: np.asarray(settings.sweep[axis], float)})
        model.pop(axis, None)
    stacked, axes = stack(points)
    return Sweep(names, stacked, axes, model)


def build_task(settings: RunSettings, name: Mapping[str, Any]) -> Any:
    """The task of the point of that name.

    Raises:
      KeyError, ValueError, TypeError: as `tasks.build`.
    """
    not_of_task = (*_OF_TRAINING, *_of_model(settings), *_traced(settings))
    own = {axis: value for axis, value in name.items() if axis not in not_of_task}
    task = {**settings.task, **own}
    lengths = settings.sweep.get("context_length", ())
    if lengths and np.shape(task.get("task_corr", ())) == (max(lengths) + 1,) * 2:
        # given for the longest context, of which a shorter one has the last rows
        first = max(lengths) - task["context_length"]
        task["task_corr"] = np.asarray(task["task_corr"])[first:, first:]
    return tasks.build(task)


def _may_sweep() -> list[str]:
    """The arguments that some model's class names in `sweeps`: whole numbers that may be traced,
    each beside an argument `max_...` that fixes shapes. `models.build` refuses them for others."""
    named = (axis for cls in models.MODELS.values() for axis in getattr(cls, "sweeps", ()))
    return list(dict.fromkeys(named))


def _of_model(settings: RunSettings) -> list[str]:
    """The axes of the sweep that are whole numbers of the model."""
    return [axis for axis in settings.sweep if axis in _may_sweep()]


def _traced(settings: RunSettings) -> list[str]:
    """The axes of the sweep that are numbers of the model, which its class names in `traced`."""
    cls = models.MODELS.get(settings.model.get("name", ""))
    return [axis for axis in settings.sweep if axis in getattr(cls, "traced", ())]


def _cuts(settings: RunSettings) -> bool:
    """Whether the last rows of a task's context are a context of a task of its kind.

    Raises:
      TypeError: for a task whose class does not say.
    """
    cls = tasks.TASKS.get(settings.task.get("name", ""))
    if cls is None:
        return True  # `tasks.build` says what is wrong
    if not hasattr(cls, "cuts"):
        raise TypeError(
            f"sweep: {cls.__name__} must say whether `tasks.keep_last` leaves a task of its kind; "
            "add cuts = True or False to the class"
        )
    cuts: bool = cls.cuts
    return cuts


def _check_axes(settings: RunSettings) -> None:
    """Refuses axes that nothing has, and those that no array can hold."""
    cls = tasks.TASKS.get(settings.task.get("name", ""))
    if cls is None:
        return  # `tasks.build` says what is wrong
    own = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()  # `build` refuses these
    fields = {field.name: field for field in own if field.init}
    known = [*_OF_TRAINING, *_may_sweep(), *_traced(settings), *fields]
    known += getattr(cls, "sweeps", ())
    checks.known_names("sweep", "axis", settings.sweep, known)
    for axis, values in settings.sweep.items():
        if axis != "context_length" and any(isinstance(v, str) for v in values):
            raise TypeError(f"sweep: {axis} must hold numbers or arrays, got {values!r}")
        if axis == "dim":
            raise ValueError("sweep: dim cannot vary, it fixes shapes; train each in its own run")


def _point(settings: RunSettings, name: dict[str, Any], longest: dict[str, Any]) -> Point:
    length = name.get("context_length")
    rate = name.get("learning_rate", settings.train.learning_rate)
    checks.shapes("sweep", learning_rate=(rate, ""))
    with np.errstate(over="ignore"):
        rate = np.asarray(rate, settings.dtype)
    checks.positive("sweep", learning_rate=rate)
    task = build_task(settings, {**name, **longest})
    contracts.check_task(settings.task["name"], task)
    return Point(
        jax.tree.map(lambda leaf: np.asarray(leaf, settings.dtype), task),
        None if length is None else np.int32(length),
        rate,
        {axis: np.int32(name[axis]) for axis in _of_model(settings)}
        | {axis: np.asarray(name[axis], settings.dtype) for axis in _traced(settings)},
    )


def stack(trees: Sequence[Any]) -> tuple[Any, Any]:
    """One tree with a leading axis where the leaves differ, and the axes to map over.

    Raises:
      ValueError: where the trees differ in structure or in a leaf's shape.
    """
    structures = {jax.tree.structure(tree) for tree in trees}
    if len(structures) > 1:
        raise ValueError(
            "sweep: its points must differ in numbers only, got some where a value is None or a "
            "size and others where it is not; give every point an array of one shape"
        )
    leaves = [jax.tree.leaves(tree) for tree in trees]
    stacked, axes = [], []
    for column in zip(*leaves, strict=True):
        shapes = {np.shape(leaf) for leaf in column}
        if len(shapes) > 1:
            raise ValueError(f"sweep: arrays must have one shape at all points, got {shapes}")
        same = all(np.array_equal(leaf, column[0]) for leaf in column)
        stacked.append(jnp.asarray(column[0] if same else np.stack(column)))
        axes.append(None if same else 0)
    (structure,) = structures
    return jax.tree.unflatten(structure, stacked), jax.tree.unflatten(structure, axes)


def pick(sweep: Sweep, index: int) -> Point:
    """The point of that index, alone."""
    # the axes tree has None for shared leaves: it is the tree of points that tells its leaves
    point: Point = jax.tree.map(
        lambda leaf, axis: leaf if axis is None else leaf[index],
        sweep.points,
        sweep.axes,
        is_leaf=lambda leaf: leaf is None,
    )
    return point
