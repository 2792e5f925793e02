"""Planted problems of the softmax experiments, named as "single 200x16" or "matrix 200x16"."""

from typing import NamedTuple

import numpy as np

from elsa.softmax_regression import Problem

FORMS = ("single", "matrix")


class Planted(NamedTuple):
    """A problem in one of the two forms, and the weights that explain its labels."""

    problem: Problem
    weights: np.ndarray


def sizes(where: str, problem: str) -> tuple[str, int, int]:
    """Form, n and d of a problem's name.

    Raises:
      ValueError: where the name is not of that form.
    """
    form, _, size = problem.partition(" ")
    parts = size.split("x")
    if form not in FORMS or len(parts) != 2 or not all(p.isdecimal() and int(p) for p in parts):
        raise ValueError(
            f"{where}: problems must be named as 'single 200x16' or 'matrix 200x16' (n x d), "
            f"got {problem!r}"
        )
    return form, int(parts[0]), int(parts[1])


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
