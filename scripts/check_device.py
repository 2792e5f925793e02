"""Whether the device that jax finds is as exact as a CPU, case by case in float32.

    python scripts/check_device.py [CASE ...] [--print-cpu]

The error of a case is the largest of an entry, relative to the largest entry, against NumPy in
float64. It must be at most 10 times what the same case has on a CPU, and need not be below 1e-6;
exits with 1 where one is not. --print-cpu prints the table CPU anew, on a CPU, and judges nothing.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elsa.base import streams

TIMES, LEAST = 10.0, 1e-6
CPU = {  # measured with jax 0.10.2
    "lsa": 1.2e-07,
    "lsa, few rows": 1.4e-07,
    "elsa": 1.2e-07,
    "gradient of lsa": 3.3e-07,
    "Gram form": 1.6e-07,
    "stack of layers": 7.4e-08,
    "stack of layers, Gram form": 2.5e-07,
    "ridge_lsa, 500 steps": 1.0e-06,
    "ridge_lsa_state, 500 steps": 2.8e-07,
    "ridge_elsa, 500 steps": 2.7e-07,
    "ridge_elsa_one_layer, 500 steps": 3.4e-07,
    "convergence of ridge_lsa": 2.2e-07,
    "convergence of ridge_lsa_state": 9.2e-08,
    "convergence of ridge_elsa": 4.4e-08,
    "convergence of ridge_elsa_one_layer": 1.4e-07,
    "compiled gradient descent, on the blocks": 6.5e-07,
    "compiled gradient descent by X^T X, on the blocks": 1.2e-06,
    "compiled Newton-Schulz, on the blocks": 2.0e-07,
    "compiled gradient descent, dense": 4.3e-07,
    "compiled gradient descent by X^T X, dense": 1.6e-06,
    "compiled Newton-Schulz, dense": 2.0e-07,
    "predictors": 3.1e-07,
    "theory": 8.3e-07,
    "softmax regression: gradient, Hessian product": 2.4e-07,
    "softmax regression: Newton-CG": 1.9e-06,
    "trained layer: linear attention": 1.3e-07,
    "trained layer: its gradient": 1.2e-07,
    "trained layer: H3": 1.6e-07,
}


def error(computed: Any, expected: Any) -> float:
    """Of a result or of several: the largest; NaN where one is."""
    several = isinstance(expected, tuple)
    pairs = zip(computed, expected, strict=True) if several else [(computed, expected)]
    errors = []
    for result, wanted in pairs:
        right = np.asarray(wanted, np.float64)
        wrong = np.abs(np.asarray(result, np.float64).reshape(right.shape) - right).max()
        errors.append(wrong / np.abs(right).max())
    return float(np.max(errors))


def bound(name: str) -> float:
    """What a case's error may be."""
    return max(TIMES * CPU.get(name, 0.0), LEAST)


def judged(errors: Mapping[str, float]) -> list[str]:
    """The names of the cases that are not as exact as on a CPU."""
    return [name for name, size in errors.items() if not size <= bound(name)]


def main(arguments: Sequence[str]) -> int:
    """Computes the cases, prints the table, and returns the exit code."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also where elsa is not installed
    import jax

    from scripts.device import attention, predictions

    known = {**attention.CASES, **predictions.CASES}

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {list(known)}; all by default"
    )
    parser.add_argument("--print-cpu", action="store_true", help="print the table CPU anew")
    arguments_read = parser.parse_args(arguments)
    unknown = [name for name in arguments_read.cases if name not in known]
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}, known are {list(known)}")
    device = jax.devices()[0]
    if arguments_read.print_cpu and device.platform != "cpu":
        parser.error(f"--print-cpu needs a CPU, got {device.device_kind}; set JAX_PLATFORMS=cpu")
    start, errors = time.perf_counter(), {}
    if not arguments_read.print_cpu:
        print(f"{device.platform}: {device.device_kind}, jax {jax.__version__}, float32")
        print(f"{'case':<46} {'error':>8} {'bound':>8}")
    for name in arguments_read.cases or known:
        errors[name] = error(*known[name]())
        if arguments_read.print_cpu:
            print(f'    "{name}": {errors[name]:.1e},')
        else:
            verdict = "" if errors[name] <= bound(name) else "  too large"
            print(f"{name:<46} {errors[name]:8.1e} {bound(name):8.1e}{verdict}", flush=True)
    if arguments_read.print_cpu:
        return 0
    wrong = judged(errors)
    seconds = time.perf_counter() - start
    print(
        f"{len(errors) - len(wrong)} of {len(errors)} cases as exact as on a CPU, {seconds:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    with streams.guarded():
        sys.exit(main(sys.argv[1:]))
