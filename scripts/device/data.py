"""What the cases share: numbers that float32 holds exactly, a ridge problem, the list itself."""

from collections.abc import Callable
from typing import Any

import numpy as np

Result = tuple[Any, Any]  # computed in float32, expected in float64
Case = Callable[[], Result]


def into(cases: dict[str, Case]) -> Callable[[str], Callable[[Case], Case]]:
    """The decorator that puts a function into a list under a name."""

    def named(name: str) -> Callable[[Case], Case]:
        def listed(function: Case) -> Case:
            cases[name] = function
            return function

        return listed

    return named


def normal(*shape: int, seed: int = 0) -> Any:
    """Numbers that float32 holds exactly."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def wide(*arrays: Any) -> list[Any]:
    """The arrays in float64."""
    return [array.astype(np.float64) for array in arrays]


LAM, CONDITION = 0.01, 50.0


def ridge() -> dict[str, np.ndarray]:
    """40 x 8; X^T X + lam I has the condition number, and 1 is the best step size."""
    left, right = (np.linalg.qr(normal(rows, 8).astype(np.float64))[0] for rows in (40, 8))
    spectrum = np.geomspace(2 * CONDITION, 2.0, 8) / (1 + CONDITION)
    X = ((left * np.sqrt(spectrum - LAM)) @ right.T).astype(np.float32)
    return {"X": X, "y": normal(40, 1), "lam": np.float32(LAM), "query_x": normal(5, 8)}


def solution(given: dict[str, np.ndarray]) -> np.ndarray:
    """Of the ridge problem, in float64."""
    X, y = wide(given["X"], given["y"])
    lam = np.float64(given["lam"])
    return np.asarray(np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T @ y))
