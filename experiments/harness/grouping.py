"""Which points of a sweep are one run: those that an experiment computes in one program."""

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from elsa.base import strict_json
from experiments.harness import dividing, sweep
from experiments.harness.experiment import Experiment, Record, RunError, message_of
from experiments.harness.sweep import Point

OWN_COLUMNS = (  # of the table
    *("group", "case", "part", "status", "message", "seed", "step", "final", "seconds"),
)
_LONGEST, _HASH = 80, 8  # characters of a name, and of what makes a shortened one unique


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """One run of a sweep.

    Attributes:
      name: of its folder, from the values of the keys that all of its points have in common.
      config: of the run.
      points: all keys of the sweep -> values, for each point.
      axes: dotted key -> name of the axis, for the keys in which the points differ.
    """

    name: str
    config: ConfigDict
    points: Sequence[Point]
    axes: Mapping[str, str]

    def point_of(self, record: Record) -> Point:
        """The point that a record is of.

        Raises:
          ValueError: if it is of none: the driver's records do not fit its `shares`.
        """
        record_point = record.get("point") or {}
        coordinates = {
            name: record_point.get(name, record.get(name)) for name in self.axes.values()
        }
        for point in self.points:
            if all(point[key] == coordinates[name] for key, name in self.axes.items()):
                return point
        raise ValueError(
            f"group {self.name}: a record is of {coordinates}, which is no point of it"
        )


def columns(keys: Iterable[str]) -> dict[str, str]:
    """How tables call dotted keys: by their last part, in full where others have it too."""
    names: dict[str, str] = {}
    lasts = [key.rpartition(".")[2] for key in keys]
    for key, last in zip(keys, lasts, strict=True):
        names[key] = last if lasts.count(last) == 1 and last not in OWN_COLUMNS else key
    return {key: f"config.{n}" if n in OWN_COLUMNS else n for key, n in names.items()}


def grouped(
    experiment: Experiment, config: ConfigDict, points: Sequence[Point], *, at_least: int = 1
) -> list[Group]:
    """The points as runs, in the order of their first points.

    Args:
      experiment: whose `shares` says what a program may vary; without it a point is a group.
      config: the base config.
      points: of the sweep, all with the same keys.
      at_least: how many groups there are at least, where there are as many points: groups of
        several points are cut, each by its share of the points.

    Raises:
      RunError: where the experiment refuses the config of a point.
    """
    together: dict[str, tuple[Mapping[str, str], list[Point]]] = {}
    for point in points:
        shared = _shared(experiment, config, point)
        separate = {key: value for key, value in point.items() if key not in shared}
        same = strict_json.dumps([separate, shared], where="sweep")
        together.setdefault(same, (shared, []))[1].append(point)
    names = columns(points[0])
    products = [product for shared, own in together.values() for product in _products(shared, own)]
    counts = dividing.shares([len(part) for _, part in products], at_least)
    return [
        _group(experiment, config, part, axes, names, is_cut=count > 1)
        for (axes, whole), count in zip(products, counts, strict=True)
        for part in dividing.cut(whole, list(axes), count)
    ]


def configured(
    experiment: Experiment, config: ConfigDict, points: Sequence[Point], axes: Mapping[str, str]
) -> ConfigDict:
    """The config of a group.

    Args:
      experiment: what runs.
      config: the base config.
      points: of the group, which have all keys but those of `axes` in common.
      axes: dotted key -> name of the axis.
    """
    fixed = {key: value for key, value in points[0].items() if key not in axes}
    changed = sweep.with_values(config, fixed)
    if not axes or experiment.with_axes is None:
        return changed
    values = {
        name: tuple(dict.fromkeys(point[key] for point in points)) for key, name in axes.items()
    }
    return experiment.with_axes(changed.unlock(), values).lock()


def _shared(experiment: Experiment, config: ConfigDict, point: Point) -> dict[str, str]:
    """The swept keys that the point's program may vary, and the names of their axes."""
    if experiment.shares is None:
        return {}
    try:
        shared = experiment.shares(sweep.with_values(config, point))
    except (ValueError, TypeError, KeyError, OSError) as error:
        place = ", ".join(f"{key} = {value}" for key, value in point.items())
        raise RunError(f"{place}: {message_of(error)}") from error
    return {
        key: shared[key]
        for key, value in point.items()
        if key in shared and isinstance(value, int | float | str)
    }


def _products(
    shared: Mapping[str, str], points: Sequence[Point]
) -> list[tuple[Mapping[str, str], Sequence[Point]]]:
    """Cuts different points into parts that are products of some axes, one axis less a time."""
    sizes = [len({point[key] for point in points}) for key in shared]
    if len(points) == math.prod(sizes):
        return [(shared, points)]
    first, *rest = shared
    parts: dict[Any, list[Point]] = {}
    for point in points:
        parts.setdefault(point[first], []).append(point)
    fewer = {key: shared[key] for key in rest}
    return [product for part in parts.values() for product in _products(fewer, part)]


def _group(
    experiment: Experiment,
    config: ConfigDict,
    points: Sequence[Point],
    axes: Mapping[str, str],
    names: Mapping[str, str],
    *,
    is_cut: bool,
) -> Group:
    said = {names[key]: value for key, value in points[0].items() if key not in axes}
    if is_cut:
        said |= {names[key]: _span([point[key] for point in points]) for key in axes}
    return Group(_name(said), configured(experiment, config, points, axes), points, axes)


def _span(values: Sequence[Any]) -> Any:
    """What a cut group has of an axis, as its folder's name says it: `0.1`, `0.1..0.4`."""
    different = list(dict.fromkeys(values))
    first, last = different[0], different[-1]
    return first if len(different) == 1 else f"{_text(first)}..{_text(last)}"


def _name(values: Mapping[str, Any]) -> str:
    """A folder's name: `depth=2,learning_rate=0.01`, cut and numbered by a hash where it must."""
    text = ",".join(f"{name}={_text(value)}" for name, value in values.items()) or "all"
    safe = re.sub(r"[^\w.,=+-]", "_", text, flags=re.ASCII)
    if safe == text and len(text) <= _LONGEST:
        return text
    plain = strict_json.dumps(dict(values), where="sweep").encode()
    return f"{safe[: _LONGEST - _HASH - 1]}-{hashlib.sha256(plain).hexdigest()[:_HASH]}"


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "+".join(map(_text, value))
    return str(value)
