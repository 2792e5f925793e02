"""Experiments side by side, as many at once as there are cores, each line under its name.

    python scripts/side_by_side.py drift depth
    python scripts/side_by_side.py drift depth --jobs=1 --mode=:quick -- --config.num_seeds=3

A step of small models keeps more than one core busy for part of its time only: two experiments on
two cores end earlier than one after the other. Ctrl-C and SIGTERM are passed on: each experiment
saves, and the same command goes on. Where one fails, those that run end, and no other is begun.
"""

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from elsa.base import cores

_LOOKS = 0.2  # seconds between two looks for an experiment that has ended
_ONE_LINE_AT_A_TIME = threading.Lock()
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Running:
    """One experiment, whose lines are printed under its name.

    Args:
      name: of its config.
      command: what runs it.
    """

    def __init__(self, name: str, command: Sequence[str]):
        self.name, self.began = name, time.perf_counter()
        # a session of its own: a signal reaches it once, by way of this process
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._reader = threading.Thread(target=self._print_lines, daemon=True)
        self._reader.start()

    def code(self) -> int | None:
        """The exit code, as a shell has it; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        self._reader.join()
        took = time.perf_counter() - self.began
        said = "done" if code == 0 else f"ended with {code}"
        self._say(f"{said} after {took / 60:.1f} min")
        return code if code >= 0 else 128 - code

    def _print_lines(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._say(line.decode(errors="replace").rstrip())

    def _say(self, text: str) -> None:
        # `print` writes a line and its end apart: between them comes another experiment's line
        with _ONE_LINE_AT_A_TIME:
            print(f"{self.name}: {text}" if text else "", flush=True)


def side_by_side(commands: Mapping[str, Sequence[str]], jobs: int) -> int:
    """Runs all commands, so many at once, in their order.

    Args:
      commands: by name.
      jobs: 1 and above.

    Returns:
      0, or the exit code of the first that ended with another.
    """
    waiting, running, failed = list(commands.items()), list[Running](), 0
    asked, passed_on = list[int](), 0  # the signals that came, and how many of them the loop sent

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in _PASSED_ON}
    try:
        while running or (waiting and not failed and not asked):
            while waiting and len(running) < jobs and not failed and not asked:
                running.append(Running(*waiting.pop(0)))
            # here, not in the handler: one that is just being begun gets it too, and gets it once
            for number in asked[passed_on:]:
                for each in running:
                    each.process.send_signal(number)
                passed_on += 1
            time.sleep(_LOOKS)
            for each in list(running):
                if (code := each.code()) is not None:
                    running.remove(each)
                    failed = failed or code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        print(f"not begun: {', '.join(name for name, _ in waiting)}", file=sys.stderr)
    return failed


def main() -> int:
    """Runs the experiments named on the command line.

    Returns:
      The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="+", help="configs/NAME.py")
    parser.add_argument("--jobs", type=int, default=cores.own(), help="at once; one for each core")
    parser.add_argument("--mode", default="", help=":quick for the small version of each")
    own = sys.argv[1:]
    rest = own[own.index("--") + 1 :] if "--" in own else []
    asked = parser.parse_args(own[: own.index("--")] if "--" in own else own)
    if asked.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {asked.jobs}")
    run = [sys.executable, "-m", "experiments.run"]
    commands = {n: [*run, f"--config=configs/{n}.py{asked.mode}", *rest] for n in asked.names}
    if min(asked.jobs, len(commands)) > 1:
        return side_by_side(commands, asked.jobs)
    for command in commands.values():  # with the terminal to itself, and a bar
        if code := subprocess.run(command, check=False).returncode:
            return code if code > 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main())
