"""Sound stacks: constructions and compiled steps, and blocks on which they converge."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import elsa
from elsa import algorithms, constructions
from elsa.nn import BlockStack
from elsa.prompts.layout import BlockLayout

ETA, LAM = 0.05, 0.5


@dataclasses.dataclass(frozen=True)
class Subject:
    """A stack that may be made anew, what its step is, and blocks on which the step converges."""

    make: Callable[..., BlockStack]
    step: Any
    blocks: dict[str, np.ndarray]


def ridge(make: Any, n: int, d: int, depth: int, **options: Any) -> Subject:
    """A construction on ridge regression."""
    rng = np.random.default_rng(n + 10 * d)
    X = rng.normal(size=(n, d))
    X *= (0.8 / ETA) ** 0.5 / np.linalg.norm(X, 2)
    blocks = {"X": X, "y": rng.normal(size=(n, 1)), "lam": np.full((1, 1), LAM)}
    blocks["w"] = rng.normal(size=(d, 1))
    if "num_queries" in options:
        blocks["query_x"] = rng.normal(size=(options["num_queries"], d))
    return Subject(
        lambda: make(n, d, depth, ETA, **options), algorithms.gradient_descent(ETA), blocks
    )


def compiled(step: Any, shapes: dict[str, tuple[int, int]], depth: int, **options: Any) -> Subject:
    """A compiled step, on blocks of norm below 1."""
    rng = np.random.default_rng(depth)
    blocks = {
        name: rng.normal(size=shape) / sum(size**0.5 for size in shape)
        for name, shape in shapes.items()
    }
    return Subject(lambda: elsa.compile(step, shapes, depth, **options), step, blocks)


def subjects() -> dict[str, Subject]:
    """Constructions and compiled steps of several sizes."""
    data = {"X": (6, 3), "y": (6, 1), "lam": (1, 1), "w": (3, 1)}
    context = {"X": (6, 3), "y": (6, 1), "query_x": (2, 3), "prediction": (2, 1)}
    square = np.diag([0.4, 0.3, 0.2]) + 0.05
    own = BlockLayout(
        {"w": (2, 0, 3, 1), "lam": (0, 1, 1, 1), "y": (0, 2, 6, 1), "X": (0, 3, 6, 3)}
    )
    return {
        "elsa": ridge(constructions.ridge_elsa, 6, 3, 4, num_queries=2),
        "elsa, skip head": ridge(constructions.ridge_elsa, 6, 3, 3, skip="head"),
        "elsa, tall, skip head": ridge(constructions.ridge_elsa, 12, 2, 2, skip="head"),
        "elsa, own layout": ridge(constructions.ridge_elsa, 6, 3, 2, layout=own),
        "one layer": ridge(constructions.ridge_elsa_one_layer, 7, 4, 3),
        "one layer, skip head": ridge(
            constructions.ridge_elsa_one_layer, 5, 3, 2, skip="head", num_queries=1
        ),
        "designed": ridge(constructions.ridge_lsa, 6, 3, 3, num_queries=2),
        "state": ridge(constructions.ridge_lsa_state, 6, 3, 3, num_queries=2),
        "descent": compiled(algorithms.gradient_descent(ETA), data, 4),
        "descent, skip head": compiled(algorithms.gradient_descent(ETA), data, 3, skip="head"),
        "heavy ball": compiled(
            algorithms.heavy_ball(step_size=ETA, momentum=0.3), {**data, "v": (3, 1)}, 4
        ),
        "chebyshev": compiled(
            algorithms.chebyshev(smallest=0.2, largest=1.8), {**data, "p": (3, 1)}, 3, tied=False
        ),
        "preconditioned": compiled(
            algorithms.preconditioned_gradient_descent(square), context, 3, skip="head"
        ),
        "gd++": compiled(algorithms.gd_plus_plus(step_size=0.1, curvature=0.05), context, 3),
        "newton schulz": compiled(
            algorithms.newton_schulz_ridge(), {**data, "Z": (3, 3)}, 2, skip="head"
        ),
        "sylvester": compiled(
            algorithms.sylvester(0.1), {"A": (4, 4), "B": (3, 3), "C": (4, 3), "X": (4, 3)}, 2
        ),
        "oja": compiled(algorithms.oja_flow(0.2), {"C": (4, 4), "W": (4, 2)}, 3),
        "factorisation": compiled(
            algorithms.matrix_factorisation(0.1), {"M": (5, 4), "U": (5, 2), "V": (4, 2)}, 2
        ),
        "polar": compiled(algorithms.polar(), {"Y": (5, 3)}, 3),
    }


def unknown(stack: BlockStack) -> BlockStack:
    """The same weights as a stack of the user's own: no heads, nothing that it was built with."""
    names = {"inputs": stack.inputs, "outputs": stack.outputs, "name": "mine"}
    return BlockStack(stack.stack, stack.layout, stack.readout, **names)
