"""What a small version of a config is worth, and the command of the full one."""

import shlex
from collections.abc import Iterable
from typing import Any

from experiments.harness import command_line, typed

QUICK = "quick"  # the mode of every config's small version
_SIZES = (  # last parts of keys that say how much is drawn or computed, and of what no more
    *("num_steps", "num_seeds", "num_starts", "eval_prompts", "watch_prompts", "bayes_samples"),
    *("batch", "draws", "pairs", "tasks"),
)
_OF_STEPS = ("warmup", "evaluate_every")  # fewer steps ask for fewer of these


def line(spec: str, words: Iterable[str]) -> str:
    """A line that says what a small version's figures are worth, and what gives the result.

    Args:
      spec: the config, with its mode.
      words: what was set beside it, `--config.KEY=VALUE` and the flags of a sweep. The command of
        the full run has them all, but numbers below the full config's that make a run small.

    Returns:
      "" for a full one.
    """
    command = _full(spec, words)
    said = f"{spec} is a smoke run: its figures are not the result, which `{command}` gives\n"
    return said if command else ""


def of_command(command: str) -> str:
    """The command of the full run, of one that repeats a small version's; "" of a full one's."""
    words = shlex.split(command)
    named = (word.removeprefix("--config=") for word in words if word.endswith(f":{QUICK}"))
    spec = next(named, "")
    own = ("--config=", "--workdir=")
    given = [word for word in words if word.startswith("--") and not word.startswith(own)]
    return _full(spec, given)


def _full(spec: str, words: Iterable[str]) -> str:
    name, _, mode = spec.partition(":")
    if mode != QUICK:
        return ""
    full = command_line.keys(command_line.load(name))
    given = list(words)
    small = [word for word in given if _is_small(word, full, _SIZES)]
    if any(_key(word).endswith("num_steps") for word in small):
        small += [word for word in given if _is_small(word, full, _OF_STEPS)]
    kept = [word for word in given if word not in small]
    config = name if typed.is_command() else f"--config={name}"
    return shlex.join([*typed.run(), config, *kept])


def _key(word: str) -> str:
    """KEY of `--config.KEY=VALUE`; "" of other words."""
    name, _, key = word.partition("=")[0].partition("--config.")
    return "" if name else key


def _is_small(word: str, full: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether a word sets one of these sizes below what the full config has."""
    key = _key(word)
    text, size = word.partition("=")[2].strip(), full.get(key)
    if key.rpartition(".")[2] not in names or type(size) is not int or not text.isdecimal():
        return False
    return int(text) < size
