"""Ridge problems solved by compiled attention layers, and how far from the solution they end."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from elsa import algorithms, theory
from elsa.compiler import CompiledStack, compile

TOLERANCE = 1e-10  # the distance that a depth of None is chosen for


class Spectrum(NamedTuple):
    """Eigenvalues of A = X^T X + lam I on the range of X^T, where every iterate from 0 lies.

    smallest, largest: of them; 1 where X is 0 and lam is.
    solution: A^-1 X^T y there, [d].
    """

    smallest: float
    largest: float
    solution: Float[np.ndarray, " d"]

    @property
    def condition_number(self) -> float:
        return max(1.0, self.largest / self.smallest)


class Solved(NamedTuple):
    """What a stack of attention layers came to.

    w: [d].
    depth, layers: steps of the algorithm, and attention layers.
    distance: |w - w*| / |w*|.
    condition_number: of A on the range of X^T.
    """

    w: Float[np.ndarray, " d"]
    depth: int
    layers: int
    distance: float
    condition_number: float


class Algorithm(NamedTuple):
    """A step on a problem whose eigenvalues lie in [2 / (kappa + 1), 2 kappa / (kappa + 1)].

    step: of kappa, to compile.
    state: the block beside X, y, lam, w, and its columns: 1 or d.
    depth: of kappa, the steps that theory asks for to come within TOLERANCE.
    limit: of the steps that are run where the depth is not given.
    tied: whether all steps are the same.
    same: whether the step is the same for every kappa.
    """

    step: Callable[[float], Callable[..., Any]]
    state: str
    depth: Callable[[float], float]
    limit: int
    tied: bool = True
    same: bool = False


def _edges(kappa: float) -> tuple[float, float]:
    return 2.0 / (kappa + 1.0), 2.0 * kappa / (kappa + 1.0)


def _heavy_ball(kappa: float) -> Callable[..., Any]:
    step_size, momentum = theory.best_heavy_ball(*_edges(kappa))
    return algorithms.heavy_ball(step_size=step_size, momentum=momentum)


def _chebyshev(kappa: float) -> Callable[..., Any]:
    smallest, largest = _edges(kappa)
    return algorithms.chebyshev(smallest=smallest, largest=largest)


def _steps(tolerance: float, rate_gap: float) -> float:
    """The first t with (1 - rate_gap)^t <= tolerance."""
    return 1.0 if rate_gap >= 1.0 else math.log(tolerance) / math.log1p(-rate_gap)


def _chebyshev_depth(kappa: float) -> float:
    return _steps(TOLERANCE / 2.0, 2.0 / (math.sqrt(kappa) + 1.0))


def _heavy_ball_depth(kappa: float) -> float:
    """Where (1 + (1 + q) t) q^t is small: t appears on both sides, which is repeated to rest."""
    depth = _chebyshev_depth(kappa)
    for _ in range(8):
        depth = _steps(TOLERANCE / (1.0 + 2.0 * depth), 2.0 / (math.sqrt(kappa) + 1.0))
    return depth


def _newton_schulz_depth(kappa: float) -> float:
    """r^(2^t) with r = (kappa - 1) / (kappa + 1), from Z = I."""
    return max(1.0, math.log2(_steps(TOLERANCE, 2.0 / (kappa + 1.0))))


ALGORITHMS = {
    "newton_schulz": Algorithm(
        lambda _: algorithms.newton_schulz_ridge(), "Z", _newton_schulz_depth, 60, same=True
    ),
    "chebyshev": Algorithm(_chebyshev, "p", _chebyshev_depth, 500, tied=False),
    "heavy_ball": Algorithm(_heavy_ball, "v", _heavy_ball_depth, 20_000),
    "gradient_descent": Algorithm(
        lambda _: algorithms.gradient_descent(1.0),
        "",
        lambda kappa: _steps(TOLERANCE, 2.0 / (kappa + 1.0)),
        20_000,
        same=True,
    ),
}


def spectrum(X: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"], lam: float) -> Spectrum:
    """Of the smaller of the two Gram matrices."""
    n, d = X.shape
    values, vectors = np.linalg.eigh(X.T @ X if n >= d else X @ X.T)
    values = np.maximum(values, 0.0)
    kept = values > 4.0 * len(values) * np.finfo(np.float64).eps * values[-1]
    if not kept.any():
        return Spectrum(lam or 1.0, lam or 1.0, np.zeros(d))
    own, basis = values[kept] + lam, vectors[:, kept]
    if n >= d:
        solution = basis @ ((basis.T @ (X.T @ y)) / own)
    else:
        solution = X.T @ (basis @ ((basis.T @ y) / own))
    return Spectrum(float(own[0]), float(own[-1]), solution)


def solve(
    X: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, " n"],
    lam: float,
    *,
    algorithm: str,
    depth: int | None,
) -> Solved:
    """Ridge regression by attention layers, in float64 whatever jax computes in elsewhere.

    Rows and regulariser are divided so that the eigenvalues of A lie around 1, which changes no
    iterate: the step sizes that are best for them are then numbers of the condition number alone.
    """
    exponent = int(np.frexp(np.abs(y).max())[1])
    labels = np.ldexp(y, -exponent)
    found = spectrum(X, labels, lam)
    kappa, rule = found.condition_number, ALGORITHMS[algorithm]
    if depth is None:
        depth = min(rule.limit, math.ceil(rule.depth(kappa)))
    centre = (found.smallest + found.largest) / 2.0
    n, d = X.shape
    state = np.eye(d) if rule.state == "Z" else np.zeros((d, 1))
    blocks = {
        "X": X / math.sqrt(centre),
        "y": labels[:, None] / math.sqrt(centre),
        "w": np.zeros((d, 1)),
        "lam": np.full((1, 1), lam / centre),
        **({rule.state: state} if rule.state else {}),
    }
    with jax.enable_x64(True):
        stack, run = _compiled(algorithm, n, d, depth, 1.0 if rule.same else kappa)
        w = np.asarray(run(blocks))[:, 0]
    # the size of weights that say what y says, where the solution is but rounding
    least = 1e-8 * float(np.linalg.norm(labels)) / math.sqrt(found.largest)
    size = max(float(np.linalg.norm(found.solution)), least)
    distance = float(np.linalg.norm(w - found.solution)) / size if size else 0.0
    return Solved(np.ldexp(w, exponent), depth, stack.num_layers, distance, kappa)


@functools.lru_cache(maxsize=16)
def _compiled(
    algorithm: str, n: int, d: int, depth: int, kappa: float
) -> tuple[CompiledStack, Callable[[dict[str, np.ndarray]], jax.Array]]:
    """The layers, and w after the last of them, a program."""
    rule = ALGORITHMS[algorithm]
    inputs = {"X": (n, d), "y": (n, 1), "w": (d, 1), "lam": (1, 1)}
    if rule.state:
        inputs[rule.state] = (d, d if rule.state == "Z" else 1)
    stack = compile(rule.step(kappa), inputs, depth, tied=rule.tied, dtype=np.float64)

    def run(blocks: dict[str, np.ndarray]) -> jax.Array:
        w: jax.Array = stack(**blocks)["w"]
        return w

    return stack, jax.jit(run)
