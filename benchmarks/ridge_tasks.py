"""1,000 ridge problems solved to 1e-6 by attention layers, against NumPy, SciPy and scikit-learn.

Every side starts from X [N, d] and y and pays for its own products X^T X and X^T y. The layers are
`algorithms.chebyshev`, compiled once for all tasks with its Gram matrix formed once, and
`algorithms.newton_schulz_ridge`; both run under vmap. What they know of the problems, the interval
of the eigenvalues of X^T X + lam I, is that of as many other draws, a tenth wider; every task must
reach the error, or the case fails.

Chebyshev is the soonest on a CPU: a step of it multiplies a d x d matrix by a vector, and all of
them cost less than half of what the Gram matrices do. Newton's seven steps multiply d x d matrices
by one another, task by task, and take longer than the Gram matrices.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import elsa
from benchmarks.harness import Row, compare
from elsa import algorithms

TASKS, ROWS, DIM, LAM, NOISE = 1_000, 100, 20, 1.0, 0.1
ACCURACY = 1e-6  # |w - w*| / |w*|, of every task
NUMPY_LIMIT, LOOP_LIMIT = 2.5, 1 / 20  # times batched NumPy's, and the loop over scikit-learn's
CHEBYSHEV_STEPS, NEWTON_STEPS = 28, 7


class Problems(NamedTuple):
    """Ridge problems |X w - y|^2 + lam |w|^2.

    X, y: [tasks, N, d] and [tasks, N, 1].
    exact: their solutions, computed in float64.
    eigenvalues: of X^T X + lam I, all of them.
    """

    X: np.ndarray
    y: np.ndarray
    exact: np.ndarray
    eigenvalues: np.ndarray


def problems(seed: int, dtype: str) -> Problems:
    """Normal covariates, labels of normal weights with noise of standard deviation 0.1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(TASKS, ROWS, DIM)).astype(dtype)
    labels = X @ rng.normal(size=(TASKS, DIM, 1)) + NOISE * rng.normal(size=(TASKS, ROWS, 1))
    y = labels.astype(dtype)
    X64, y64 = X.astype(float), y.astype(float)
    gram = X64.transpose(0, 2, 1) @ X64 + LAM * np.eye(DIM)
    exact = np.linalg.solve(gram, X64.transpose(0, 2, 1) @ y64)
    return Problems(X, y, exact, np.linalg.eigvalsh(gram))


def largest_error(w: Any, exact: np.ndarray) -> float:
    """max over the tasks of |w - w*| / |w*|."""
    difference = np.asarray(w, float).reshape(exact.shape) - exact
    errors = np.linalg.norm(difference, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    return float(errors.max())


def chebyshev(smallest: float, largest: float, dtype: str) -> Callable[..., jax.Array]:
    """The semi-iteration on X^T X, as attention layers."""
    step = algorithms.chebyshev(smallest=smallest, largest=largest)
    start = {"w": np.zeros((DIM, 1)), "p": np.zeros((DIM, 1))}
    return _layers(step, start, CHEBYSHEV_STEPS, dtype, tied=False)


def newton_schulz(smallest: float, largest: float, dtype: str) -> Callable[..., jax.Array]:
    """Newton's iteration for the inverse, as attention layers."""
    scale = 2.0 / (smallest + largest)
    start = {"Z": scale * np.eye(DIM), "w": np.zeros((DIM, 1))}
    return _layers(algorithms.newton_schulz_ridge(), start, NEWTON_STEPS, dtype)


def batched_numpy(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The normal equations of all tasks, in two stacked products and one stacked solve."""
    turned = X.transpose(0, 2, 1)
    solved: np.ndarray = np.linalg.solve(turned @ X + X.dtype.type(LAM) * _eye(X), turned @ y)
    return solved


def scipy_loop(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same, one Cholesky decomposition after the other."""
    import scipy.linalg

    eye, solved = X.dtype.type(LAM) * _eye(X), []
    for one, labels in zip(X, y, strict=True):
        factor = scipy.linalg.cho_factor(one.T @ one + eye, check_finite=False)
        solved.append(scipy.linalg.cho_solve(factor, one.T @ labels, check_finite=False))
    return np.stack(solved)


def scikit_learn_loop(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`Ridge`, fitted to one task after the other."""
    from sklearn.linear_model import Ridge

    ridge = functools.partial(Ridge, alpha=LAM, fit_intercept=False)
    return np.stack([ridge().fit(*task).coef_ for task in zip(X, y[..., 0], strict=True)])


@jax.jit
def by_jax(X: jax.Array, y: jax.Array) -> jax.Array:
    """The normal equations as one writes them in JAX, by a direct solver."""
    with jax.default_matmul_precision("highest"):
        gram = jnp.einsum("bni,bnj->bij", X, X) + LAM * jnp.eye(DIM, dtype=X.dtype)
        solved: jax.Array = jnp.linalg.solve(gram, jnp.einsum("bni,bnj->bij", X, y))
    return solved


def run(repeats: int) -> Iterator[Row]:
    """Both dtypes."""
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            yield from _rows(dtype, repeats)


def _rows(dtype: str, repeats: int) -> Iterator[Row]:
    given, others = problems(0, dtype), problems(1, dtype)
    bounds = 0.9 * others.eigenvalues.min(), 1.1 * others.eigenvalues.max()
    X, y = jnp.asarray(given.X), jnp.asarray(given.y)
    chosen = "Chebyshev layers"  # the soonest, which the limits are for
    layers = {
        chosen: functools.partial(chebyshev(*bounds, dtype), X, y),
        "Newton-Schulz layers": functools.partial(newton_schulz(*bounds, dtype), X, y),
    }
    case = f"{TASKS} ridge tasks to {ACCURACY:g}, N={ROWS} d={DIM} {dtype}"
    numpy, loop = "batched NumPy", "a loop over scikit-learn's Ridge"
    theirs = {
        numpy: functools.partial(batched_numpy, given.X, given.y),
        "a solver in JAX": functools.partial(by_jax, X, y),
        "a loop over SciPy's Cholesky": functools.partial(scipy_loop, given.X, given.y),
    }
    for name, call in layers.items():
        error = largest_error(call(), given.exact)
        assert error <= ACCURACY, f"{case}: {name} leave an error of {error:.2g}"
        metric = f"largest error of {name}"
        yield Row(case, metric, error, "relative", limit=ACCURACY, judged=False)
    error = largest_error(theirs[numpy](), given.exact)
    yield Row(case, f"largest error of {numpy}", error, "relative", judged=False)
    limits = {chosen: NUMPY_LIMIT}
    yield from compare(case, theirs | layers, baseline=numpy, limit=limits, repeats=repeats)
    best = {loop: functools.partial(scikit_learn_loop, given.X, given.y)} | layers
    fewer = max(3, repeats // 4)  # a second and more each
    limits = {chosen: LOOP_LIMIT}
    yield from compare(case, best, baseline=loop, limit=limits, repeats=fewer, warm_up=1)


def _layers(
    step: algorithms.first_order.Step,
    start: dict[str, np.ndarray],
    depth: int,
    dtype: str,
    **how: Any,
) -> Callable[..., jax.Array]:
    """All tasks at once through the layers of a step, from one start."""
    shapes = {"X": (ROWS, DIM), "y": (ROWS, 1), "lam": (1, 1)}
    shapes |= {name: block.shape for name, block in start.items()}
    kind = np.dtype(dtype)
    stack = elsa.compile(step, shapes, depth=depth, reassociate="gram", dtype=kind, **how)
    fixed = {name: jnp.asarray(block, kind) for name, block in start.items()}
    fixed["lam"] = jnp.full((1, 1), LAM, kind)
    solve: Callable[..., jax.Array] = jax.jit(jax.vmap(lambda X, y: stack(X=X, y=y, **fixed)["w"]))
    return solve


def _eye(X: np.ndarray) -> np.ndarray:
    return np.eye(X.shape[-1], dtype=X.dtype)
