"""Sweeps: values for keys of a config, and the points that they make.

    --sweep.depth=1,2,4 --sweep.train.learning_rate=1e-3:1e-1:log:5

is fifteen points. A range is LOW:HIGH:log or lin, and the number of values.
"""

import copy
import dataclasses
import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from experiments.harness import command_line
from experiments.harness.experiment import RunError

MODES = ("product", "zip", "random")
Point = Mapping[str, Any]  # dotted key -> value
_WORD = re.compile(r"--?sweep\.(?P<key>[^=]*)(?:=(?P<text>.*))?", re.DOTALL)
_SPAN = re.compile(r"(?P<low>[^:]+):(?P<high>[^:]+):(?P<scale>log|lin)(?::(?P<count>\d+))?")
_DIGITS = 6  # of a value that a range gives, so that names stay short


@dataclasses.dataclass(frozen=True)
class Span:
    """All numbers from low to high, evenly or in logarithm; whole numbers for an integer key."""

    low: float
    high: float
    log: bool
    whole: bool
    count: int | None = None

    def at(self, share: float) -> int | float:
        """The number at a share of the way from low (0) to high (1)."""
        if self.log:
            place = self.low * (self.high / self.low) ** share
        else:
            place = self.low + (self.high - self.low) * share
        return round(place) if self.whole else float(f"{place:.{_DIGITS}g}")

    def places(self) -> tuple[int | float, ...]:
        """As many numbers as the range says, from end to end; a whole number comes once."""
        count = self.count or 0
        numbers = (self.at(index / (count - 1) if count > 1 else 0.0) for index in range(count))
        return tuple(dict.fromkeys(numbers))

    def __str__(self) -> str:
        count = "" if self.count is None else f":{self.count}"
        return f"{self.low:g}:{self.high:g}:{'log' if self.log else 'lin'}{count}"


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Axes and how they are combined.

    Attributes:
      axes: dotted key -> its values in order; a span only where the mode is random.
      mode: "product" (all combinations, the last axis fastest), "zip" (the first value of every
        axis, then the second, ..) or "random" (`samples` different points, drawn by `seed`).
      samples: of the mode random, else None.
      seed: of the draws.
    """

    axes: Mapping[str, tuple[Any, ...] | Span]
    mode: str = "product"
    samples: int | None = None
    seed: int = 0

    def points(self) -> list[Point]:
        """Every point, in the order they run.

        Raises:
          RunError: if fewer points can be drawn than asked for, or a point comes twice.
        """
        if self.mode == "random":
            return self._drawn()
        lists = [axis for axis in self.axes.values() if isinstance(axis, tuple)]
        is_zip = self.mode == "zip"
        rows = list(zip(*lists, strict=True) if is_zip else itertools.product(*lists))
        for twice in _repeated(rows)[:1] if is_zip else ():
            place = ", ".join(f"{k} = {v}" for k, v in zip(self.axes, twice, strict=True))
            raise RunError(f"--sweep_mode=zip: the point {place} comes twice. Nothing was run.")
        return [dict(zip(self.axes, row, strict=True)) for row in rows]

    def asked(self) -> dict[str, Any]:
        """The sweep as plain values."""
        axes = {
            key: str(axis) if isinstance(axis, Span) else axis for key, axis in self.axes.items()
        }
        return {"axes": axes, "mode": self.mode, "samples": self.samples}

    def _drawn(self) -> list[Point]:
        """Different points; Python's generator draws the same ones on every machine."""
        draw = random.Random(self.seed).random
        rows: dict[tuple[Any, ...], None] = {}
        for _ in range(1000 * (self.samples or 0)):
            rows.setdefault(tuple(_one(axis, draw()) for axis in self.axes.values()))
            if len(rows) == self.samples:
                return [dict(zip(self.axes, row, strict=True)) for row in rows]
        raise RunError(
            f"--sweep_samples={self.samples}: the axes have fewer different points (found "
            f"{len(rows)}). Ask for fewer samples. Nothing was run."
        )


def split(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Takes `--sweep.KEY=VALUES` and `--sweep.KEY VALUES` out of a command line.

    Returns:
      Key -> the text of its values, and all other words.

    Raises:
      RunError: for a key without values, and one that is given twice.
    """
    swept: dict[str, str] = {}
    others, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        match = _WORD.fullmatch(word)
        if match is None:
            others.append(word)
            continue
        text = match["text"]
        if text is None:
            text = rest.pop(0) if rest else ""
        if not text:
            raise RunError(f"{word}: values are missing, as in {word.rstrip('=')}=1,2,3")
        if match["key"] in swept:
            raise RunError(f"{word}: {match['key']} is swept twice; give all its values at once")
        swept[match["key"]] = text
    return swept, others


def words(asked: Mapping[str, str]) -> list[str]:
    """The words of a command line that `split` reads."""
    return [f"--sweep.{key}={text}" for key, text in asked.items()]


def own(spec: str) -> Mapping[str, Any]:
    """The sweep of a config file's `sweep()`: key -> values, or their text.

    Raises:
      RunError: if the file has no such function, or it returns no mapping of a key at least.
    """
    path = spec.partition(":")[0]
    function = getattr(command_line.module_of(spec), "sweep", None)
    if function is None:
        raise RunError(
            f"--sweep: {path} defines no sweep(); name keys instead: --sweep.KEY=v1,v2. "
            "Nothing was run."
        )
    axes = function()
    if not isinstance(axes, Mapping) or not axes:
        raise RunError(
            f"--sweep: sweep() of {path} must return a mapping key -> values, got {axes!r}. "
            "Nothing was run."
        )
    return axes


def ask(
    config: ConfigDict,
    axes: Mapping[str, Any],
    *,
    mode: str = "product",
    samples: int | None = None,
) -> Sweep:
    """The sweep of some keys of a config, every value held to the type of its key.

    Args:
      config: the base config; its `seed`, if it has one, draws the points of the mode random.
      axes: dotted key -> values, or the text of a command line: `v1,v2` or `LOW:HIGH:log:COUNT`.
      mode: one of MODES.
      samples: how many points are drawn.

    Raises:
      RunError: for an unknown key (naming the nearest), a value of another type than the config's,
        a value given twice, and axes that do not go together.
    """
    if mode not in MODES:
        raise RunError(f"--sweep_mode must be one of {', '.join(MODES)}, got {mode!r}")
    if (mode == "random") != (samples is not None):
        raise RunError(
            "--sweep_samples=N goes with --sweep_mode=random, and the mode random needs it"
        )
    if samples is not None and samples < 1:
        raise RunError(f"--sweep_samples must be 1 or more, got {samples}")
    read = {key: _axis(config, key, values, mode) for key, values in axes.items()}
    lengths = {key: len(axis) for key, axis in read.items() if isinstance(axis, tuple)}
    if mode == "zip" and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise RunError(f"--sweep_mode=zip: every key needs as many values as the others; {counts}")
    return Sweep(read, mode, samples, int(config.get("seed") or 0))


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A copy of the config with these keys set; derived values follow.

    Raises:
      TypeError: for a value of another type than the config's.
    """
    changed = copy.deepcopy(config)
    for key, value in values.items():
        holder, last = command_line.holder_of(changed, key)
        holder[last] = value
    return changed


def _axis(config: ConfigDict, key: str, values: Any, mode: str) -> tuple[Any, ...] | Span:
    """The values of one key."""
    argument = f"--sweep.{key}={values}"
    command_line.refuse_unknown_key(config, key, argument=argument)
    span = _span(config, key, values, argument) if isinstance(values, str) else None
    if span is not None and mode == "random":
        return span
    if span is not None:
        if not span.count:
            raise RunError(f"{argument}: the range needs a count, as in {span}:5. Nothing was run.")
        typed = span.places()
    elif isinstance(values, str):
        typed = tuple(_read(config, key, text, argument) for text in _parts(values))
    else:
        typed = _typed(config, key, values, argument)
    repeated = _repeated(typed) if mode != "zip" else []
    if repeated:
        raise RunError(f"{argument}: {repeated[0]!r} is given twice. Nothing was run.")
    if not typed:
        raise RunError(f"{argument}: values are missing. Nothing was run.")
    return typed


def _span(config: ConfigDict, key: str, text: str, argument: str) -> Span | None:
    """The range of a number's key, None where the text is not a range."""
    match = _SPAN.fullmatch(text)
    holder, last = command_line.holder_of(config, key)
    kind = holder.get_type(last)
    if match is None or kind not in (int, float):
        return None
    low, high = (_read(config, key, match[end], argument) for end in ("low", "high"))
    log, count = match["scale"] == "log", match["count"]
    if not (low < high and math.isfinite(high - low)):
        raise RunError(
            f"{argument}: a range goes from a lower to a higher number. Nothing was run."
        )
    if log and low <= 0:
        raise RunError(f"{argument}: a range in logarithm starts above 0. Nothing was run.")
    return Span(low, high, log, kind is int, None if count is None else int(count))


def _parts(text: str) -> list[str]:
    """The text between the commas that no bracket encloses."""
    return re.findall(r"(?:\([^)]*\)|\[[^\]]*\]|[^,])+", text)


def _read(config: ConfigDict, key: str, text: str, argument: str) -> Any:
    """One value, as `--config.KEY=text` would set it."""
    changed = copy.deepcopy(config)
    command_line.set_key(changed, key, text.strip(), argument=argument)
    holder, last = command_line.holder_of(changed, key)
    return holder[last]


def _typed(config: ConfigDict, key: str, values: Any, argument: str) -> tuple[Any, ...]:
    """Values of Python, as the config takes them."""
    if not isinstance(values, Sequence):
        raise RunError(
            f"{argument}: sweep() gives a tuple of values for each key. Nothing was run."
        )
    typed = []
    for value in values:
        try:
            holder, last = command_line.holder_of(with_values(config, {key: value}), key)
        except TypeError as error:
            raise RunError(f"{argument}: {error}. Nothing was run.") from error
        typed.append(holder[last])
    return tuple(typed)


def _repeated(values: Sequence[Any]) -> list[Any]:
    """Those that an earlier one equals, in order."""
    try:
        count = len(set(values))
    except TypeError:  # a list has no hash; of those there are few
        count = -1
    if count == len(values):
        return []
    return [value for index, value in enumerate(values) if value in values[:index]]


def _one(axis: tuple[Any, ...] | Span, share: float) -> Any:
    return axis.at(share) if isinstance(axis, Span) else axis[int(share * len(axis))]
