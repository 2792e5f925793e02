"""Draws the example of docs/compiler.md: its prompt before and after, and its heads.

python scripts/compiler_figure.py [--output docs/images/compiler.png]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

import elsa
from elsa.base import streams
from elsa.compiler import CompiledStack
from elsa.report import prompt_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "compiler.png"
INPUTS = {"X": (6, 4), "y": (6, 1), "w": (4, 1)}


def step(X: jax.Array, y: jax.Array, w: jax.Array) -> dict[str, jax.Array]:
    """Gradient descent on the ridge loss with lambda = 0.5."""
    return {"w": w - 0.1 * (X.T @ (X @ w - y) + 0.5 * w)}


def example() -> CompiledStack:
    """The stack of the page."""
    return elsa.compile(step, INPUTS, depth=20)


def draw() -> "Figure":
    """The figure: labels are X (1.5, -1, 0.5, 0)^T, so that w moves from 0 towards it."""
    X = np.random.default_rng(0).normal(size=INPUTS["X"])
    y = X @ np.array([[1.5], [-1.0], [0.5], [0.0]])
    return prompt_figure(example(), X=X, y=y, w=np.zeros((4, 1)))


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
