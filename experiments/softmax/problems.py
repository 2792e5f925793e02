"""Planted problems of the softmax experiments, named as "single 200x16" or "matrix 200x16"."""

from typing import NamedTuple

import numpy as np

from elsa.softmax_regression import Problem
from experiments.softmax.checking import sizes


class Planted(NamedTuple):
    """A problem in one of the two forms, and the weights that explain its labels."""

    problem: Problem
    weights: np.ndarray


def planted(problem: str, seed: list[int], kind: str = "normalized") -> Planted:
    """Standard normal data; weights that give logits of variance 1; labels their softmax."""
    form, n, d = sizes("planted", problem)
    rng = np.random.default_rng(seed)
    order = 1 if form == "single" else 2
    data = tuple(rng.normal(size=(n, d)) for _ in range(order))
    weights = rng.normal(size=(d,) * order) / d ** (order / 2)
    return Planted(Problem.planted(weights, *data, kind=kind), weights)


def shown(problem: str) -> str:
    """The name for figures and tables, with a multiplication sign."""
    return problem.replace("x", "×").replace("matri×", "matrix")
