"""The command that the user typed, for those that are printed to be typed again."""

import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from absl import flags

_start: list[str] = []


def started_by(words: Sequence[str]) -> None:
    """Says what stood before `run`, `list` or `report`: `elsa`, or `python -m elsa`."""
    _start[:] = words


def is_command() -> bool:
    """Whether the user typed `elsa`, and not the name of a module or a file of `experiments`."""
    return bool(_start)


def run() -> list[str]:
    """The words that start an experiment, its config and flags left out."""
    return [*_start, "run"] if _start else _module("experiments.run")


def child() -> list[str]:
    """The words that start an experiment in a process of its own, by this very Python."""
    return [sys.executable, *(["-m", "elsa", "run"] if _start else _module("experiments.run")[1:])]


def report() -> list[str]:
    """The words that compare runs, their folders left out."""
    return [*_start, "report"] if _start else _module("experiments.report")


def report_from(folder: str) -> list[str]:
    """`report`, to be typed in another folder: what is named by a path is so from the root on."""
    first, *words = report()
    is_path = os.path.dirname(first) and folder != os.getcwd()
    return [os.path.abspath(first) if is_path else first, *words]


def lists() -> str:
    """What shows all configs, in a sentence."""
    return " ".join([*_start, "list"]) if _start else "--list"


def config() -> str:
    """A config, in the line that shows how a command is used."""
    return "NAME" if _start else "--config=configs/NAME.py"


def show_help(usage: str, module: ModuleType) -> NoReturn:
    """Prints how the command is used and the flags that a module defines, and exits."""
    print(usage, flags.FLAGS.module_help(module), sep="\n")
    sys.exit(0)


def _module(name: str) -> list[str]:
    """`python -m NAME`, or `python FILE` where the file was typed."""
    python, *words = sys.orig_argv or ["python"]
    path = f"{name.replace('.', '/')}.py"
    file = next((word for word in words if word.replace("\\", "/").endswith(path)), None)
    return [python, *([file] if file else ["-m", name])]
