"""Runs the benchmark suite; prints tables and leaves results and figures in a folder.

    python -m benchmarks.run [--only NAME ...] [--quick] [--repeats 20] [--output FOLDER]
    python -m benchmarks.run --compare runs/bench/EARLIER

A folder holds results.jsonl (`benchmarks/saved.py`) and its figures. With --compare the run is held
against an earlier one's file or folder: it ends with 1 and names the cases that are slower beyond
noise (`benchmarks/regressions.py`). Codes: 1 also for a benchmark that failed, 2 for wrong
arguments, 130 for Ctrl-C; what was measured until then stays.
"""

import argparse
import datetime
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import (
    attention,
    compiled_stack,
    dense_layers,
    figure,
    gpt2,
    machine,
    regressions,
    ridge_tasks,
    saved,
    scaling,
    small_problems,
    softmax_regression,
    streams,
    table,
    training,
)
from benchmarks.harness import Row
from elsa.base import streams as output

Benchmark = Callable[[int], Iterable[Row]]
# Name -> function of the number of repeats that yields rows as they are measured.
CASES: dict[str, Benchmark] = {
    "machine": machine.run,
    "attention": attention.run,
    "dense_layers": dense_layers.run,
    "compiled_stack": compiled_stack.run,
    "gpt2": gpt2.run,
    "ridge_tasks": ridge_tasks.run,
    "scaling": scaling.run,
    "small_problems": small_problems.run,
    "softmax_regression": softmax_regression.run,
    "streams": streams.run,
    "training": training.run,
}
# What takes the place of a case under --quick; None leaves it out.
QUICK: dict[str, Benchmark | None] = {
    "dense_layers": dense_layers.quick,
    "gpt2": gpt2.quick,
    "scaling": scaling.quick,
    "small_problems": None,
    "softmax_regression": None,
    "streams": streams.quick,
    "training": None,
}
REPEATS, QUICK_REPEATS = 20, 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the cases asked for, of all by default, and says where the results are."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    options = parser.parse_args(words)
    chosen = chosen_cases(options.only, quick=options.quick)
    repeats = options.repeats or (QUICK_REPEATS if options.quick else REPEATS)
    before = None
    try:
        if options.compare is not None:
            before = saved.read(options.compare)
        folder = options.output or Path("runs/bench") / f"{datetime.datetime.now():%Y-%m-%d_%H%M%S}"
        if (folder / saved.RESULTS).exists():
            parser.error(f"--output: {folder} holds results already; name another folder")
        here = machine.description()
        writer = saved.Writer(folder / saved.RESULTS, here, words)
    except (OSError, ValueError) as error:
        parser.error(str(error))

    screen = table.console()
    table.say(screen, f"{here['cpu']}, {here['cores']} cores, load {here['load']}; into {folder}")
    rows: list[Row] = []
    failed: list[str] = []
    regressed: list[str] = []
    code = 0
    try:
        for name, row in measured(chosen, repeats, screen, failed):
            rows.append(row)
            writer.row(name, machine.load(), row)
        if before is not None:
            regressed = _compared(before, writer.path, here, chosen, repeats, options, screen)
        code = int(bool(failed or regressed))
    except KeyboardInterrupt:
        table.say(screen, "stopped; what was measured stays")
        code = 130
    for title, drawn in figure.draw(rows):
        place = folder / f"{title}.png"
        drawn.savefig(place)
        table.say(screen, f"figure: {place}")
    table.say(screen, f"results: {writer.path}")
    _warn_of_load(screen, here)
    for name in failed:
        table.say(screen, f"failed: {name}, as written above")
    return code


def chosen_cases(only: Sequence[str] | None, *, quick: bool) -> dict[str, Benchmark]:
    """Name -> function of the cases to run; one that is named runs in quick mode too."""
    wanted = {name: CASES[name] for name in only or CASES}
    if not quick:
        return wanted
    swapped = {name: QUICK.get(name, case) for name, case in wanted.items()}
    return {
        name: wanted[name] if case is None else case
        for name, case in swapped.items()
        if case is not None or only
    }


def measured(
    cases: dict[str, Benchmark], repeats: int, screen: Console, failed: list[str]
) -> Iterator[tuple[str, Row]]:
    """Rows with the name of their benchmark; every complete case is shown as a table.

    A benchmark that fails is named in `failed`, its traceback printed, and the next one runs.
    """
    for number, (name, case) in enumerate(cases.items(), start=1):
        table.say(screen, f"[{number} of {len(cases)}] {name} ...")
        start, group = time.perf_counter(), list[Row]()
        try:
            for row in case(repeats):
                if group and group[0].case != row.case:
                    table.show(screen, group)
                    group = []
                group.append(row)
                yield name, row
        except Exception:
            traceback.print_exc()
            failed.append(name)
        if group:
            table.show(screen, group)
        table.say(screen, f"{name}: {time.perf_counter() - start:.0f} s")


def _compared(
    before: saved.Saved,
    path: Path,
    here: dict[str, object],
    cases: dict[str, Benchmark],
    repeats: int,
    options: argparse.Namespace,
    screen: Console,
) -> list[str]:
    """The regressions, as texts; each was seen twice."""
    same = machine.same(before.machine, here)
    if not same:
        table.say(screen, f"{before.path} is of another machine: ratios alone are compared")

    def found(rows: regressions.Rows) -> list[regressions.Change]:
        changes = regressions.changes(
            before.rows, rows, same_machine=same, tolerance=options.tolerance
        )
        return changes

    now = saved.read(path).rows
    for key in regressions.missing(before.rows, now, cases):
        table.say(screen, f"not measured now: {': '.join(key)}")
    changes = found(now)
    suspects = {(c.case, c.metric): c for c in changes if c.regressed}
    again = {str(now[key]["name"]): cases[str(now[key]["name"])] for key in suspects}
    confirmed: list[str] = []
    if again:
        table.say(screen, f"slower than {before.path}, measured once more: {', '.join(again)}")
        second = {
            (row.case, row.metric): saved.parsed(name, row)
            for name, row in measured(again, repeats, screen, [])
        }
        confirmed = [
            str(change)
            for change in found(second)
            if change.regressed and (change.case, change.metric) in suspects
        ]
    for text in confirmed:
        table.say(screen, f"regressed: {text}")
    table.say(
        screen, f"compared {len(changes)} rows with {before.path}: {len(confirmed)} regressed"
    )
    return confirmed


def _warn_of_load(screen: Console, here: dict[str, object]) -> None:
    """Says so where more was running than the machine has cores."""
    now, cores = machine.load(), here["cores"]
    if now is not None and isinstance(cores, int) and now > cores + 0.5:
        text = f"the load average is {now} on {cores} cores: seconds say little, ratios less"
        table.say(screen, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", "--case", action="append", choices=CASES, help="may be repeated; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few turns")
    parser.add_argument(
        "--repeats", type=_positive, help=f"measured turns, {REPEATS}, or {QUICK_REPEATS} if quick"
    )
    parser.add_argument("--output", type=Path, help="a new folder, by default below runs/bench")
    parser.add_argument(
        "--compare", type=Path, help="results.jsonl of an earlier run, or its folder"
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=regressions.TOLERANCE,
        help="relative slowing that --compare lets pass, %(default)s by default",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _tolerance(text: str) -> float:
    number = float(text)
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"tolerance must be above 0, got {number}")
    return number


if __name__ == "__main__":
    with output.guarded():
        sys.exit(main())
