"""Algorithms that a stack may run, as the weight vectors of a batch of problems after each step.

With A = X^T X + lam I and c = X^T y every one of them is a recursion on the moments alone; a
prediction is <query_x, w_t> and its derivative by the query w_t. They are written here without the
steps of `elsa.algorithms`, in batches, so that their numbers may be fitted; tests compare the two.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Path = Float[np.ndarray, "moments batch d"]
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 1.9)  # of one over the largest eigenvalue
_MOMENTA = (0.05, 0.2, 0.4, 0.6, 0.8)
_SPANS = (1.5, 4.0, 15.0, 60.0)  # condition numbers


class Problems(NamedTuple):
    """A batch of least-squares problems by their moments. gram: X^T X.  moment: X^T y.  lam: of
    all."""

    gram: Float[np.ndarray, "batch d d"]
    moment: Float[np.ndarray, "batch d"]
    lam: float

    def times(self, w: Float[np.ndarray, "batch d"]) -> Float[np.ndarray, "batch d"]:
        """A w."""
        product: np.ndarray = (self.gram @ w[..., None])[..., 0] + self.lam * w
        return product

    @property
    def largest(self) -> float:
        """The largest eigenvalue of all A."""
        return float(np.linalg.eigvalsh(self.gram).max()) + self.lam


class Candidate(NamedTuple):
    """An algorithm with numbers to be fitted.

    numbers: their names; a matrix of d x d numbers, the preconditioner, comes as one row.
    path: problems, steps and numbers to the weights after 0 .. steps steps.
    starts: problems to rows of numbers from which a fit may start.
    extra: problems and numbers to how far it is from gradient descent, 0 where it is that, 1 where
      its other numbers are as large as they usually are.
    """

    numbers: tuple[str, ...]
    path: Callable[[Problems, int, np.ndarray], Path]
    starts: Callable[[Problems], Iterator[tuple[float, ...]]]
    extra: Callable[[Problems, np.ndarray], float]


def _descent(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    (eta,) = numbers
    return _walk(of, steps, lambda w, _: (w + eta * (of.moment - of.times(w)), None))


def _preconditioned(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    d = of.moment.shape[1]
    matrix = numbers.reshape(d, d)
    return _walk(of, steps, lambda w, _: (w + (of.moment - of.times(w)) @ matrix.T, None))


def _plus_plus(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    """Covariates X_t = X M_t and labels y_t: X_t^T y_t and X_t^T X_t go on by themselves."""
    eta, gamma = numbers
    eye = np.eye(of.moment.shape[1])

    def step(w: np.ndarray, state: tuple[np.ndarray, ...] | None) -> tuple[np.ndarray, object]:
        gram, moment, turned = state or (of.gram, of.moment, np.broadcast_to(eye, of.gram.shape))
        w = w + eta * (turned @ moment[..., None])[..., 0]
        shrunk = eye - gamma * gram
        moment = (shrunk @ (moment - eta * (gram @ moment[..., None])[..., 0])[..., None])[..., 0]
        return w, (shrunk @ gram @ shrunk, moment, turned @ shrunk)

    return _walk(of, steps, step)


def _heavy_ball(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    eta, beta = numbers

    def step(w: np.ndarray, v: np.ndarray | None) -> tuple[np.ndarray, object]:
        v = (0.0 if v is None else beta * v) + eta * (of.moment - of.times(w))
        return w + v, v

    return _walk(of, steps, step)


def _chebyshev(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    """p <- a_t p + b_t (c - A w) with the numbers of the semi-iteration on [m, L]."""
    smallest, largest = min(numbers), max(numbers)
    root = np.sqrt(largest / smallest)
    q, centre = (root - 1.0) / (root + 1.0), (largest + smallest) / 2.0

    def step(w: np.ndarray, state: tuple[int, np.ndarray] | None) -> tuple[np.ndarray, object]:
        t, p = state or (0, np.zeros_like(w))
        below = 1.0 + q ** (2 * t + 2)
        kept = q**2 * (1.0 + q ** (2 * t - 2)) / below if t else 0.0
        gained = (1.0 + q**2) * (1.0 + q ** (2 * t)) / below if t else 1.0
        p = kept * p + gained / centre * (of.moment - of.times(w))
        return w + p, (t + 1, p)

    return _walk(of, steps, step)


def _newton_schulz(of: Problems, steps: int, numbers: np.ndarray) -> Path:
    """Z <- 2 Z - Z A Z from Z = c I, and w = Z X^T y; w is 0 before the first step."""
    (start,) = numbers
    eye = np.eye(of.moment.shape[1])
    matrix = of.gram + of.lam * eye
    inverse = np.broadcast_to(start * eye, matrix.shape)
    path = [np.zeros_like(of.moment)]
    for _ in range(steps):
        inverse = 2.0 * inverse - inverse @ matrix @ inverse
        path.append((inverse @ of.moment[..., None])[..., 0])
    return np.array(path)


def _walk(of: Problems, steps: int, step: Callable[..., tuple[np.ndarray, object]]) -> Path:
    w, state = np.zeros_like(of.moment), None
    path = [w]
    for _ in range(steps):
        w, state = step(w, state)
        path.append(w)
    return np.array(path)


def _shares(of: Problems) -> Iterator[tuple[float, ...]]:
    return ((share / of.largest,) for share in _SHARES)


def _with_curvature(of: Problems) -> Iterator[tuple[float, ...]]:
    pairs = itertools.product(_SHARES, _SHARES[:6])
    return ((eta / of.largest, gamma / of.largest) for eta, gamma in pairs)


def _with_momentum(of: Problems) -> Iterator[tuple[float, ...]]:
    return ((eta / of.largest, beta) for eta, beta in itertools.product(_SHARES, _MOMENTA))


def _spans(of: Problems) -> Iterator[tuple[float, ...]]:
    tops = [of.largest * factor for factor in (0.5, 0.75, 1.0, 1.5, 2.5, 5.0)]
    return ((top / span, top) for top, span in itertools.product(tops, _SPANS))


def _isotropic(of: Problems) -> Iterator[tuple[float, ...]]:
    eye = np.eye(of.moment.shape[1])
    return (tuple((share / of.largest * eye).ravel()) for share in _SHARES)


def _anisotropy(of: Problems, numbers: np.ndarray) -> float:
    d = of.moment.shape[1]
    matrix = numbers.reshape(d, d)
    return float(np.linalg.norm(matrix - np.trace(matrix) / d * np.eye(d)) / np.linalg.norm(matrix))


def _decay(_: Problems, numbers: np.ndarray) -> float:
    """q^2, to which a_t of the semi-iteration tends."""
    root = np.sqrt(max(numbers) / min(numbers))
    return float(((root - 1.0) / (root + 1.0)) ** 2)


CANDIDATES: Mapping[str, Candidate] = MappingProxyType(
    {
        "gradient descent": Candidate(("step_size",), _descent, _shares, lambda *_: 1.0),
        "preconditioned": Candidate(("preconditioner",), _preconditioned, _isotropic, _anisotropy),
        "GD++": Candidate(
            ("step_size", "curvature"),
            _plus_plus,
            _with_curvature,
            lambda of, numbers: abs(numbers[1]) * of.largest,
        ),
        "heavy ball": Candidate(
            ("step_size", "momentum"), _heavy_ball, _with_momentum, lambda _, n: abs(n[1])
        ),
        "Chebyshev": Candidate(("smallest", "largest"), _chebyshev, _spans, _decay),
        "Newton-Schulz": Candidate(("start",), _newton_schulz, _shares, lambda *_: 1.0),
    }
)


def fitted(
    candidate: Candidate, of: Problems, wanted: Path, rounds: int = 40
) -> tuple[np.ndarray, Path]:
    """The numbers of a candidate whose weights come nearest to those wanted, and these weights.

    The best of a grid, then Levenberg and Marquardt's method. Every step counts by the size of its
    own weights, so that the first is not lost beside the last.
    """
    steps = len(wanted) - 1
    size = np.linalg.norm(wanted[1:], axis=(1, 2), keepdims=True)
    size = np.where(size > 0, size, 1.0)

    def gap(numbers: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            made = (candidate.path(of, steps, numbers)[1:] - wanted[1:]) / size
        tame: np.ndarray = np.nan_to_num(made, nan=1e3, posinf=1e3, neginf=-1e3).ravel()
        return tame

    grid = [np.asarray(start) for start in candidate.starts(of)]
    numbers = min(grid, key=lambda start: float(np.sum(gap(start) ** 2)))
    here, damping = gap(numbers), 1e-3
    for _ in range(rounds):
        nudges = 1e-6 * max(float(np.abs(numbers).max()), 1e-12) * np.eye(len(numbers))
        slope = np.array([(gap(numbers + n) - here) / n.max() for n in nudges]).T
        square = slope.T @ slope
        scaled = square + damping * np.diag(np.diag(square)) + 1e-30 * np.eye(len(numbers))
        move = np.linalg.lstsq(scaled, -slope.T @ here, rcond=None)[0]
        there = gap(numbers + move)
        if there @ there < here @ here:
            done = there @ there > (1.0 - 1e-6) * (here @ here)
            numbers, here, damping = numbers + move, there, damping / 10.0
            if done:
                break
        else:
            damping *= 10.0
            if damping > 1e8:
                break
    return numbers, candidate.path(of, steps, numbers)
