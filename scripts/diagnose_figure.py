"""Draws the failure signatures of docs/diagnose.md: what each fault does to the error of w.

python scripts/diagnose_figure.py [--output docs/images/diagnose.png]
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from elsa import algorithms, constructions, predictors
from elsa.base import streams
from elsa.nn import BlockStack
from elsa.readback import Diagnosis, diagnose
from elsa.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "diagnose.png"
N, D, DEPTH, ETA, LAM = 12, 3, 30, 0.06, 0.5


def problem() -> dict[str, np.ndarray]:
    """The data of the page: the largest eigenvalue of X^T X + lam I is 1.5 / eta."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    X *= ((1.5 / ETA - LAM) ** 0.5) / np.linalg.norm(X, 2)
    return {"X": X, "y": rng.normal(size=(N, 1)), "lam": np.full((1, 1), LAM)}


def sound() -> BlockStack:
    """Gradient descent on the natural prompt, every layer with a skip head."""
    return constructions.ridge_elsa(N, D, DEPTH, ETA, skip="head")


def _edit(place: int, name: str, head: int, change: Callable[[Any], Any]) -> BlockStack:
    stack = sound()
    parameter = getattr(stack.stack.body[place], name)
    parameter[...] = parameter[...].at[head].set(change(parameter[...][head]))
    return stack


def _larger_step() -> BlockStack:
    """Both heads that update w, 1.5 times as large."""
    stack = _edit(1, "wv", 0, lambda a: 1.5 * a)
    layer = stack.stack.body[1]
    layer.wv[...] = layer.wv[...].at[1].multiply(1.5)
    return stack


def faults() -> dict[str, BlockStack]:
    """Failure -> a stack that has it."""
    return {
        "skip is no identity": _edit(1, "bq", 2, lambda a: a.at[0, 0].set(0.9)),
        "wrong rows": _edit(0, "bk", 1, lambda a: np.roll(a, 1, axis=0)),
        "wrong sign": _edit(1, "wv", 1, lambda a: -a),
        "wrong scale": _edit(0, "bv", 0, lambda a: 0.7 * a),
        "step too large": _larger_step(),
        "lambda misplaced": _edit(1, "bk", 1, lambda a: np.roll(a, 1, axis=0)),
    }


def diagnoses() -> Mapping[str, Diagnosis]:
    """What is found on the data of the page."""
    step = algorithms.gradient_descent(ETA)
    return {name: diagnose(stack, step, **problem()) for name, stack in faults().items()}


def draw() -> "Figure":
    """Distance to the ridge solution against the depth, for every fault beside a sound stack."""
    figure, panels = style.figure(2, 3, height=3.4, width=2 * style.WIDTH, sharex=True, sharey=True)
    data = problem()
    w = np.asarray(predictors.ridge_weights(data["X"], data["y"], LAM))
    expected = _errors(sound(), data, w)
    steps = np.arange(DEPTH + 1)
    for axes, (name, stack) in zip(panels.flat, faults().items(), strict=True):
        style.measured(
            axes, steps, _errors(stack, data, w), name=1, label="with the fault", markevery=5
        )
        style.theory(axes, steps, expected, label="sound")
        axes.set_yscale("log")
        axes.set_ylim(1e-3, 1e3)
        style.finish(axes, x="", y="", title=name, legend=False)
    for axes in panels[-1]:
        axes.set_xlabel("step")
    for axes in panels[:, 0]:
        axes.set_ylabel("distance of w to ridge")
    style.legend_outside(figure)
    return figure


def _errors(stack: BlockStack, data: Mapping[str, Any], w: np.ndarray) -> np.ndarray:
    path = np.asarray(stack.trajectory(**data)["w"])
    found: np.ndarray = np.linalg.norm(path - w, axis=(1, 2)) / np.linalg.norm(w)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)
    draw().savefig(options.output, dpi=130, pil_kwargs={"optimize": True})
    print(options.output)
    return 0


if __name__ == "__main__":
    with streams.guarded():
        sys.exit(main())
