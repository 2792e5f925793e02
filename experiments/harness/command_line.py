"""From the words of a command line to a config: the file, its mode, and `--config.KEY=VALUE`."""

import difflib
import importlib.util
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

from experiments.harness import listing, own_config, typed
from experiments.harness.experiment import RunError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_OVERRIDE = re.compile(r"--?(?P<no>no)?config\.(?P<key>[^=]*)(?P<value>=.*)?", re.DOTALL)
# what keys are called elsewhere
_MEANT = {"name": "architecture", "lr": "learning_rate", "file": "path", "label": "target"}
_KINDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    tuple: "a tuple, as in '(1, 2)'",
}


def load(spec: str) -> ConfigDict:
    """The locked config of "path/to/file.py" or, in another mode than its own, "file.py:MODE".

    "NAME" and "NAME:MODE" are those of configs/NAME.py, in whatever folder.

    Raises:
      RunError: if there is no such file (naming the nearest in configs/), if it is not a config, or
        with the message of `get_config` if that refuses the mode.
    """
    path, colon, mode = spec.partition(":")
    module = module_of(spec)
    if not hasattr(module, "get_config"):
        raise RunError(f"{path} is no config: it defines no get_config(mode)")
    with own_config.told(spec, listing.path_of(path, CONFIGS)):
        config = module.get_config(mode) if colon else module.get_config()
    if not isinstance(config, ConfigDict):
        raise RunError(f"{path}: get_config must return a ConfigDict, got {type(config).__name__}")
    if not listing.holds(path, CONFIGS):
        own_config.refuse(path, keys(config), _alike(str(config.get("experiment"))))
    return config.lock()


def module_of(spec: str) -> ModuleType:
    """The config file of "path/to/file.py" or "file.py:MODE", or of a NAME, as a module.

    Raises:
      RunError: if there is no such file (naming the nearest in configs/), or it cannot be read.
    """
    given = spec.partition(":")[0]
    path = listing.path_of(given, CONFIGS)
    if not path.is_file():
        near = _near_files(given)
        raise RunError(f"no config file {given!r}{near}; {typed.lists()} shows them all")
    found = importlib.util.spec_from_file_location("config_file", path)
    if found is None or found.loader is None:
        raise RunError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(found)
    with own_config.told(spec, path):
        found.loader.exec_module(module)
    return module


def _alike(experiment: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and keys of each config in configs/ that asks for this experiment."""
    texts = {file: file.read_text("utf-8") for file in listing.files(CONFIGS)}
    named = [file for file, text in texts.items() if f'"{experiment}"' in text]
    configs = [(file.stem, module_of(file.stem).get_config()) for file in named]
    return [(name, keys(one)) for name, one in configs if one.get("experiment") == experiment]


def default_workdir(spec: str, *, sweep: bool = False) -> Path:
    """runs/NAME for configs/NAME.py; a mode and a sweep get their own, runs/NAME-MODE-sweep."""
    path, _, mode = spec.partition(":")
    name = Path(path).stem
    parts = [name, *([mode] if mode not in ("", "full") else []), *(["sweep"] if sweep else [])]
    return Path("runs") / "-".join(parts)


def apply_overrides(config: ConfigDict, arguments: Sequence[str]) -> list[str]:
    """Sets the keys that `--config.KEY=VALUE` names, in the order given.

    Args:
      config: changed in place; derived values follow.
      arguments: what the entry's own flags left of the command line.

    Returns:
      The overrides in the one form `--config.KEY=VALUE`.

    Raises:
      RunError: for a word that is not an override, an unknown key (naming the nearest), or a
        value of another type than the config's.
    """
    overrides = _one_word_each(config, arguments)
    for override in overrides:
        name, _, text = override.partition("=")
        set_key(config, name.removeprefix("--config."), text, argument=override)
    return overrides


def keys_of(overrides: Iterable[str]) -> list[str]:
    """The dotted keys that overrides in the form of `apply_overrides` set."""
    return [override.partition("=")[0].removeprefix("--config.") for override in overrides]


def refuse_flags(arguments: Sequence[str]) -> None:
    """Refuses the words that are not overrides, where there is no config to override.

    Raises:
      RunError: naming the first of them and, for a flag, what it may have meant.
    """
    for argument in arguments:
        if not _OVERRIDE.fullmatch(argument):
            raise RunError(_unexpected(argument, ()))


def repeat_command(spec: str, workdir: Path, overrides: Iterable[str]) -> str:
    """The command that runs this config in this folder again, as a shell takes it."""
    config = spec if typed.is_command() and not spec.startswith("-") else f"--config={spec}"
    return shlex.join([*typed.run(), config, f"--workdir={workdir}", *overrides])


def child_command(spec: str, workdir: Path, overrides: Iterable[str]) -> list[str]:
    """The words of a process of its own that runs this config in this folder."""
    return [*typed.child(), f"--config={spec}", f"--workdir={workdir}", *overrides]


def keys(config: ConfigDict, above: str = "") -> dict[str, Any]:
    """Every dotted key of a config and its value, those of groups left out."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            values |= keys(value, f"{above}{name}.")
        else:
            values[f"{above}{name}"] = value
    return values


def _one_word_each(config: ConfigDict, arguments: Sequence[str]) -> list[str]:
    """Brings `--config.KEY VALUE`, `--config.KEY` and `--noconfig.KEY` to `--config.KEY=VALUE`."""
    known, rest, words = keys(config), list(arguments), []
    while rest:
        argument = rest.pop(0)
        match = _OVERRIDE.fullmatch(argument)
        if match is None:
            raise RunError(_unexpected(argument, known))
        key, value = match["key"], match["value"]
        refuse_unknown_key(config, key, argument=argument)
        if isinstance(known[key], bool) and value is None:
            value = "=false" if match["no"] else "=true"
        elif match["no"]:
            raise RunError(f"{argument}: {key} is not true or false. Nothing was run.")
        elif value is None:
            if not rest:
                raise RunError(f"{argument}: a value is missing. Nothing was run.")
            value = f"={rest.pop(0)}"
        words.append(f"--config.{key}{value}")
    return words


def set_key(config: ConfigDict, key: str, text: str, *, argument: str) -> None:
    """Sets one key by ml_collections' parser, and holds tuples to the type of their elements.

    Args:
      config: changed in place; derived values follow.
      key: dotted, one that the config has.
      text: the value as it stands on a command line.
      argument: what the user wrote; errors start with it.

    Raises:
      RunError: for a value of another type than the config's, and a key that a text cannot set.
    """
    holder, last = holder_of(config, key)
    before, kind = holder[last], holder.get_type(last)
    if key == "experiment":
        raise RunError(
            f"{argument}: experiment says which driver reads this config; give the --config of "
            "the other experiment instead. Nothing was run."
        )
    if kind not in _KINDS:
        raise RunError(
            f"{argument}: {key} is a {kind.__name__} and can only be set in the config file. "
            "Nothing was run."
        )
    wrong = RunError(
        f"{argument}: {key} is {_KINDS[kind]} ({before!r} in the config), got {text!r}. "
        "Nothing was run."
    )
    values, words = flags.FlagValues(), ["run", f"--config.{key}={text}"]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=words)
        values(words)
    except (flags.Error, ValueError, TypeError) as error:
        raise wrong from error
    if kind is tuple and len({type(element) for element in before}) == 1:
        of, after = type(before[0]), holder[last]
        if of is str and after == (text,):
            after = tuple(text.split(","))  # a,b needs no quotes
        if of is float:
            after = tuple(float(x) if type(x) is int else x for x in after)
        if any(type(element) is not of for element in after):
            raise wrong
        holder[last] = after


def holder_of(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """The group that a dotted key lies in, and the key's last part."""
    *groups, last = key.split(".")
    for group in groups:
        config = config[group]
    return config, last


def _unexpected(argument: str, known: Iterable[str]) -> str:
    """Why a word that is not an override is refused, with the flag it may have meant."""
    if not argument.startswith("-"):
        return f"unexpected argument {argument!r}. Nothing was run.{_as_given(argument, known)}"
    name = argument.lstrip("-").partition("=")[0]
    flags = ["config", "workdir", "overwrite", "list", "extend", "branch"]
    flags += ["sweep", "sweep_mode", "sweep_samples", "jobs", "cluster"]
    near = difflib.get_close_matches(name, flags, n=1) or [
        f"config.{key}" for key in _nearest(name, known)
    ]
    hint = f"; did you mean {' or '.join(f'--{flag}' for flag in near)}?" if near else "."
    return f"unknown flag {argument}{hint} Nothing was run."


def _as_given(word: str, known: Iterable[str]) -> str:
    """How a word that names a table or a config is given; empty for another."""
    if "data.path" in known and Path(word).suffix in (".csv", ".tsv", ".txt"):
        return f" A table of your own: --config.data.path={word} --config.data.target=COLUMN"
    path, colon, mode = word.partition(":")
    file = next((each for each in listing.files(CONFIGS) if each.stem == Path(path).stem), None)
    if file is None:
        return ""
    spec = file.stem if typed.is_command() else f"--config={os.path.relpath(file)}"
    return f" To run that config: {shlex.join([*typed.run(), f'{spec}{colon}{mode}'])}"


def refuse_unknown_key(config: ConfigDict, key: str, *, argument: str) -> None:
    """Refuses a key that is not in the config.

    Raises:
      RunError: naming the argument and the nearest keys: all of a group, or all there are.
    """
    known = list(keys(config))
    if key in known:
        return
    below = [other for other in known if other.startswith(f"{key}.")]
    if below:
        raise RunError(f"{argument}: {key} is a group; set {' or '.join(below)}. Nothing was run.")
    near = _nearest(key, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}."
    raise RunError(f"{argument}: the config has no key {key!r}; {hint} Nothing was run.")


def _nearest(key: str, known: Iterable[str]) -> list[str]:
    """At most three known keys that look like the one given, as a whole or in their last part.

    Keys of the same group come first: only where none is near are others looked at.
    """
    parent, dot, last = key.rpartition(".")
    known = list(known)
    meant = f"{parent}{dot}{_MEANT.get(last)}"
    if meant in known:
        return [meant]
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    if dot and (near := difflib.get_close_matches(last, beside, n=3)):
        return [beside[name] for name in near]

    def likeness(name: str) -> float:
        pairs = [(key, name), (last, name.rpartition(".")[2])]
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    ranked = sorted(known, key=likeness, reverse=True)
    bar = max(0.6, likeness(ranked[0]) - 0.15) if ranked else 1.0
    return [name for name in ranked if likeness(name) >= bar][:3]


def _near_files(path: str) -> str:
    """The configs whose name is like the one given, as they are reached from here."""
    known = {file.stem: file for file in listing.files(CONFIGS)}
    near = difflib.get_close_matches(Path(path).stem, known, n=3, cutoff=0.5)
    by_name = typed.is_command() or Path(path).name == Path(path).stem == path
    places = near if by_name else [os.path.relpath(known[name]) for name in near]
    return f"; did you mean {' or '.join(places)}?" if places else ""
