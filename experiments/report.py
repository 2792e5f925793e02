"""Runs side by side on one page.

    python -m experiments.report runs/convergence runs/other
    python -m experiments.report runs/* --out=comparison.html

Each RUN is a folder of experiments.run, finished or not. Figures come from the runs' own pages
(report.html): the command of a finished run that has none makes it, without computing anything.
"""

import shlex
import sys
from pathlib import Path

if not __package__:  # `python experiments/report.py`, which looks for modules beside it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from absl import app, flags

from elsa.base import files, streams
from experiments.harness import comparison, terminal, typed
from experiments.harness.experiment import FAILED, REFUSED, RunError

_OUT = flags.DEFINE_string("out", "comparison.html", "The page; an older comparison is replaced.")
_OURS = "<title>comparison:"  # what an older comparison has near its start


def parse_flags(argv: list[str]) -> list[str]:
    """The folders, once the flags are read."""
    try:
        return list(flags.FLAGS(argv))
    except (flags.Error, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    except SystemExit:  # of --help and its kin, which absl ends with 1
        sys.exit(0)


def main(argv: list[str]) -> int:
    """Writes the page, and returns the exit code."""
    try:
        if len(argv) < 2:
            usage = shlex.join(typed.report())
            raise RunError(f"no run given. Usage: {usage} RUN... [--out=FILE]")
        runs, out = comparison.read([Path(word) for word in argv[1:]]), Path(_OUT.value)
        _refuse_another(out)
        files.replace(out, comparison.page(runs).encode("utf-8"))
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except files.WriteError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    terminal.say(
        terminal.console(), f"{len(runs)} run{'s' * (len(runs) > 1)} on one page:\n  {out}"
    )
    return 0


def _refuse_another(out: Path) -> None:
    """Refuses to replace what is no comparison."""
    if out.is_dir():
        raise RunError(f"--out={out} is a folder; give a file, as --out={out / 'comparison.html'}")
    if out.exists() and _OURS not in out.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise RunError(f"--out={out} is there and no comparison; give another --out")


def start(argv: list[str] | None = None) -> None:
    """Compares the runs of a command line, sys.argv unless it is given, and exits."""
    with streams.guarded():
        app.run(main, argv=argv, flags_parser=parse_flags)


if __name__ == "__main__":
    start()
