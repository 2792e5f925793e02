"""The command `elsa`: the experiments, in any folder.

    elsa list
    elsa run convergence
    elsa run convergence:quick --config.KEY=VALUE --workdir=DIR
    elsa run --config=my.py
    elsa report RUN... --out=FILE

`elsa run NAME` takes the config NAME of the list, or a file; NAME:quick is its small version.
`elsa COMMAND --help` shows the flags of a command.
"""

import difflib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from elsa.base import stopping

_COMMANDS = ("run", "list", "report")
_HELP = ("help", "-h", "--help", "-help", "--helpshort")
_REFUSED = 2


def find_experiments() -> None:
    """Lets this process import `experiments` and `configs`: those of the wheel, or the checkout's.

    No other process sees them, so that the wheel takes no name beside `elsa`.
    """
    here = Path(__file__).resolve().parent
    bundled = here / "bundled"
    sys.path.insert(0, str(bundled if bundled.is_dir() else here.parent))


def main() -> None:
    """Runs the command that sys.argv names, and exits with its code."""
    stopping.until_begun()
    words = sys.argv[1:]
    if not words or words[0] in _HELP:
        print(__doc__)
        sys.exit(0 if words else _REFUSED)
    name, *rest = words
    if name not in _COMMANDS:
        near = difflib.get_close_matches(name, _COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_COMMANDS)}."
        print(f"error: elsa has no command {name!r}; {hint}", file=sys.stderr)
        sys.exit(_REFUSED)
    find_experiments()
    from experiments.harness import typed

    typed.started_by(_typed())
    if name == "report":
        from experiments import report

        if _asks_for_help(rest):
            typed.show_help(__doc__ or "", report)
        report.start([f"elsa {name}", *rest])
    else:
        from experiments import run

        if _asks_for_help(rest):
            typed.show_help(__doc__ or "", run)
        run.start([f"elsa {name}", *(["--list", *rest] if name == "list" else _flags_of(rest))])


def _flags_of(words: Sequence[str]) -> list[str]:
    """The words of `elsa run`, the name of a config in front as the flag that it stands for."""
    if not words or words[0].startswith("-"):
        return list(words)
    spec, *rest = words
    other = next((word for word in rest if word.partition("=")[0] in ("--config", "-config")), None)
    if other is not None:
        print(f"error: {spec} and {other} are two configs; leave one out", file=sys.stderr)
        sys.exit(_REFUSED)
    return [f"--config={spec}", *rest]


def _asks_for_help(words: Sequence[str]) -> bool:
    return any(word in _HELP[1:] for word in words)


def _typed() -> list[str]:
    """What the user has typed in front of the command, to be typed again."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.orig_argv[0], "-m", "elsa"]
    found = shutil.which(script.name)
    return [script.name if found and Path(found) == script else str(script)]


if __name__ == "__main__":
    main()
