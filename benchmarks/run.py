"""Runs the benchmark suite and prints one JSON object a line.

    python -m benchmarks.run [--case NAME ...] [--repeats 20]

Keys: case, metric, value, unit, baseline (the same measurement of what it is compared with, or
null) and ratio (value / baseline: below 1 is better).
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

from benchmarks import attention, compiled_stack, small_problems, softmax_regression, training
from benchmarks.harness import Row
from elsa.base import streams

# Name -> function of the number of repeats that yields rows as they are measured.
CASES: dict[str, Callable[[int], Iterable[Row]]] = {
    "attention": attention.run,
    "compiled_stack": compiled_stack.run,
    "small_problems": small_problems.run,
    "softmax_regression": softmax_regression.run,
    "training": training.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the rows of the cases asked for, of all by default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", action="append", choices=CASES, help="all by default")
    parser.add_argument("--repeats", type=int, default=20, help="measured turns of each contestant")
    options = parser.parse_args(arguments)
    for name in options.case or CASES:
        for row in CASES[name](options.repeats):
            print(row.to_json(), flush=True)
    return 0


if __name__ == "__main__":
    with streams.guarded():
        sys.exit(main())
