"""What a config says in one text: the boxes of a prompt, numbers of a task, other tasks."""

import ast
import shlex
from collections.abc import Iterator
from typing import Any


def boxes(text: str) -> dict[str, tuple[int, ...]]:
    """The boxes of 'X 0 0 16 4; y 0 4 16 1': block, row, channel, height, width.

    Raises:
      ValueError: for what is none, with the form that is expected.
    """
    found = {}
    for part in _parts(text):
        name, *numbers = part.split()
        if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
            raise ValueError(
                f"prompt.boxes must be like 'X 0 0 16 4; y 0 4 16 1' (block, row, channel, height, "
                f"width), got {part!r}"
            )
        found[name] = tuple(int(number) for number in numbers)
    return found


def fields(text: str, key: str) -> dict[str, Any]:
    """The numbers of 'alignment=0.5 cov_task=(2,1)': name=value, tuples without spaces or quoted.

    Args:
      text: what is said.
      key: of the config, for a refusal.

    Raises:
      ValueError: for what is none, with the form that is expected.
    """
    found = {}
    for word in _words(text, key):
        name, sign, value = word.partition("=")
        if not (name and sign and value):
            raise ValueError(
                f"{key} must be like 'alignment=0.5 cov_task=(2,1)' (name=value), got {word!r}"
            )
        found[name] = _value(value)
    return found


def tasks(text: str, key: str) -> list[tuple[str, dict[str, Any]]]:
    """The tasks of 'retrieval alignment=0.5; linear_regression covariates=gamma': each as it is
    said, and its settings.

    Raises:
      ValueError: as `fields`.
    """
    found = []
    for part in _parts(text):
        name, _, rest = part.partition(" ")
        if "=" in name:
            raise ValueError(
                f"{key} must be like 'retrieval alignment=0.5; linear_regression covariates=gamma' "
                f"(a task and its numbers), got {part!r}"
            )
        found.append((part, {"name": name, **fields(rest, key)}))
    return found


def _parts(text: str) -> Iterator[str]:
    return filter(None, (part.strip() for part in text.split(";")))


def _words(text: str, key: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}, in {text!r}") from error


def _value(text: str) -> Any:
    """A number, a tuple, True or False; a name where it is none of them."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
