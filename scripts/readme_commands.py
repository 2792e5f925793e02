"""Runs what README and docs tell the reader to type, so that it keeps working when pasted.

    python scripts/readme_commands.py [README.md docs/PAGE.md ...] [--done "make lint" ...]

A fence says what becomes of it:

    ```bash quick     each command is run as it stands, from the checkout
    ```bash full      the same, experiments in quick mode: configs/NAME.py -> configs/NAME.py:quick,
                      and runs/ is a temporary folder
    ```bash manual    not run: what needs another machine, an hour, or the reader's own files
    ```python         the whole fence is run as a script of its own, in a temporary folder
    ```python manual  not run

Other languages (```text) are not looked at; a bash fence that does not say is an error. A command
that occurs twice, or is given as --done, is run once.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from elsa.base import streams

MODES = {"bash": ("quick", "full", "manual"), "python": ("", "manual")}
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+) *(?P<language>[\w+-]*) *(?P<mode>[^`]*?) *$")


class Fence(NamedTuple):
    """A fenced block: its language, its mode, its text, and the line of its opening."""

    language: str
    mode: str
    text: str
    line: int


class Command(NamedTuple):
    """Something to run: what the reader typed, what is run for it, and in which folder."""

    shown: str
    argv: tuple[str, ...]
    folder: Path
    line: int


def fences(markdown: str) -> Iterator[Fence]:
    """The fenced blocks of a text, in order.

    Raises:
      ValueError: for a fence that is never closed, or a bash or python fence of unknown mode.
    """
    lines = enumerate(markdown.splitlines(), start=1)
    for number, line in lines:
        opening = _FENCE.match(line)
        if not opening:
            continue
        indent, ticks, language, mode = opening.group("indent", "ticks", "language", "mode")
        if mode not in MODES.get(language, (mode,)):
            known = " or ".join(f"'```{language} {m}'".replace(" '", "'") for m in MODES[language])
            raise ValueError(f"line {number}: a {language} fence must open with {known}")
        body: list[str] = []
        for _, inner in lines:
            if inner.strip() == ticks:
                break
            body.append(inner.removeprefix(indent))
        else:
            raise ValueError(f"line {number}: the fence is never closed")
        yield Fence(language, mode, "\n".join(body) + "\n", number)


def split_commands(script: str) -> list[str]:
    """The commands of a bash text: a command ends with the line at which bash finds it complete."""
    commands, pending = [], ""
    for line in script.splitlines():
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending += line + "\n"
        check = subprocess.run(
            ["bash", "-n"], input=pending, capture_output=True, encoding="utf-8", check=False
        )  # an open here-document is only a warning
        if check.returncode == 0 and not check.stderr and not line.endswith("\\"):
            commands.append(pending.rstrip("\n"))
            pending = ""
    if pending:
        raise ValueError(f"bash finds this incomplete: {pending!r}")
    return commands


def in_quick_mode(command: str, runs: Path) -> str:
    """The command with every config in quick mode and every run folder below `runs`."""

    def quick(match: re.Match[str]) -> str:
        config = f"--config={match['path']}:quick"
        if "--workdir" in command:
            return config
        return f"{config} --workdir={shlex.quote(str(runs / Path(match['path']).stem))}"

    command = re.sub(r"--config[= ](?P<path>[\w./-]*configs/\w+\.py)(?!:)", quick, command)
    return re.sub(r"(?<![\w./-])runs/", lambda _: shlex.quote(f"{runs}/"), command)


def plan(markdown: str, root: Path, scratch: Path) -> list[Command]:
    """What to run for a README, in order, each command once; files and runs go into `scratch`."""
    commands: dict[tuple[str, ...], Command] = {}
    for fence in fences(markdown):
        if fence.language not in MODES or fence.mode == "manual":
            continue
        if fence.language == "python":
            folder = scratch / f"line_{fence.line}"
            folder.mkdir()
            path = folder / "example.py"
            path.write_text(fence.text, encoding="utf-8")
            argv: tuple[str, ...] = (sys.executable, str(path))
            commands[argv] = Command(fence.text.rstrip("\n"), argv, folder, fence.line)
            continue
        for shown in split_commands(fence.text):
            text = shown if fence.mode == "quick" else in_quick_mode(shown, scratch / "runs")
            argv = ("bash", "-euo", "pipefail", "-c", text)
            commands.setdefault(argv, Command(shown, argv, root, fence.line))
    return list(commands.values())


def execute(command: Command, timeout: float) -> tuple[int | None, str]:
    """Runs a command and returns its exit code (None past the timeout) and its output."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "Agg",
    }
    process = subprocess.Popen(
        command.argv,
        cwd=command.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that a timeout ends what the command started, too
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output
    return process.returncode, output


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the commands of some pages; 1 at the first that fails, with its output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, default=[Path("README.md")])
    parser.add_argument("--done", action="append", default=[], help="a command not to run again")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each command")
    options = parser.parse_args(arguments)
    return max(run(page, set(options.done), options.timeout) for page in options.pages)


def root_of(page: Path) -> Path:
    """The nearest folder with a README, from which a reader types; else the page's own."""
    folders = page.resolve().parents
    return next((folder for folder in folders if (folder / "README.md").is_file()), folders[0])


def run(page: Path, done: Container[str], timeout: float) -> int:
    """Runs the commands of a page from the folder of the README; 1 at the first that fails."""
    root = root_of(page)
    with tempfile.TemporaryDirectory(prefix="readme_") as scratch:
        try:
            commands = plan(page.read_text(encoding="utf-8"), root, Path(scratch))
        except (OSError, ValueError) as error:
            print(f"{page}: {error}", file=sys.stderr)
            return 1
        for command in commands:
            first = command.shown.splitlines()[0]
            if command.shown in done:
                print(f"line {command.line}: already run: {first}", flush=True)
                continue
            start = time.perf_counter()
            code, output = execute(command, timeout)
            seconds = time.perf_counter() - start
            if code != 0:
                ending = f"no end after {timeout:g} s" if code is None else f"exit {code}"
                print(
                    f"{page}, line {command.line}: {ending} from\n{command.shown}\n"
                    f"run as: {shlex.join(command.argv)}\noutput:\n{output}",
                    file=sys.stderr,
                )
                return 1
            print(f"line {command.line}: {seconds:.1f} s: {first}", flush=True)
    return 0


if __name__ == "__main__":
    with streams.guarded():
        sys.exit(main())
