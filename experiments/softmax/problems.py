"""Planted problems of the softmax experiments, named as "single 200x16" or "matrix 200x16"."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from elsa import softmax_regression


class Form(NamedTuple):
    """The functions of one form; they take the weights first, then the data and the labels."""

    probabilities: Callable[..., Any]
    loss: Callable[..., Any]
    solve: Callable[..., Any]
    identifiable_part: Callable[..., Any]
    lipschitz: Callable[..., Any]
    sampled_ratios: Callable[..., Any]
    dense_hessian: Callable[..., Any]
    gradient_path: Callable[..., Any]
    trajectory_shift: Callable[..., Any]


FORMS = {
    form: Form(*(getattr(softmax_regression, prefix + name) for name in Form._fields))
    for form, prefix in (("single", ""), ("matrix", "matrix_"))
}


class Problem(NamedTuple):
    """Data (A, or A1 and A2), labels and the weights that explain them, in one of the two forms."""

    form: str
    data: tuple[np.ndarray, ...]
    labels: np.ndarray
    weights: np.ndarray


def sizes(where: str, problem: str) -> tuple[str, int, int]:
    """Form, n and d of a problem's name.

    Raises:
      ValueError: where the name is no form and size.
    """
    form, _, size = problem.partition(" ")
    parts = size.split("x")
    if form not in FORMS or len(parts) != 2 or not all(p.isdecimal() and int(p) for p in parts):
        raise ValueError(
            f"{where}: problems must be named as 'single 200x16' or 'matrix 200x16' (n x d), "
            f"got {problem!r}"
        )
    return form, int(parts[0]), int(parts[1])


def planted(problem: str, seed: list[int]) -> Problem:
    """Standard normal data; weights that give logits of variance 1; labels their softmax."""
    form, n, d = sizes("planted", problem)
    rng = np.random.default_rng(seed)
    order = 1 if form == "single" else 2
    data = tuple(rng.normal(size=(n, d)) for _ in range(order))
    weights = rng.normal(size=(d,) * order) / d ** (order / 2)
    labels = np.asarray(FORMS[form].probabilities(weights, *data))
    return Problem(form, data, labels, weights)


def shown(problem: str) -> str:
    """The name for figures and tables, with a multiplication sign."""
    return problem.replace("x", "×").replace("matri×", "matrix")
