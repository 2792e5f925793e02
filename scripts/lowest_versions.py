"""Prints the lowest version of every dependency that pyproject.toml admits, as requirements.

Run: python scripts/lowest_versions.py > requirements-lowest.txt

Python's standard library is all it needs, as it runs before anything is installed.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def pinned(requirements: Sequence[str]) -> Iterator[str]:
    """`name==version` for each `name>=version`.

    Raises:
      ValueError: for a requirement of any other form, whose lowest version cannot be read off.
    """
    for requirement in requirements:
        match = re.fullmatch(r"([\w.-]+)\s*>=\s*(\d[\w.]*)", requirement)
        if match is None:
            raise ValueError(
                f"lowest_versions: a dependency must be written as 'name>=version', "
                f"got {requirement!r}; give it a lower bound and nothing else"
            )
        yield f"{match[1]}=={match[2]}"


def main() -> None:
    """Prints a line for each dependency, also for development; not for the site and the doors."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print(*pinned(project["dependencies"]), sep="\n")
    print(*pinned(project["optional-dependencies"]["dev"]), sep="\n")


if __name__ == "__main__":
    main()
